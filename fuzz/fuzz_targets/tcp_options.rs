//! Options: what was understood survives being written and read again, in both layouts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use woshou_wire::tcp_option::{Layout, MAX_OPTIONS, RawOptions, TcpOptions};

fuzz_target!(|octets: &[u8]| {
    assert!(RawOptions::new(octets).count() <= octets.len());
    let options = TcpOptions::parse(octets).unwrap_or_else(|malformed| malformed.understood);
    for layout in [Layout::Linux, Layout::FreeBsd] {
        let mut into = [0xee; MAX_OPTIONS];
        let len = options.write(layout, &mut into);
        assert!(len.is_multiple_of(4));
        let mut again = TcpOptions::parse(&into[..len]).expect("our own options");
        assert!(options.sack.as_slice().starts_with(again.sack.as_slice()));
        again.sack = options.sack;
        assert_eq!(again, options);
    }
});
