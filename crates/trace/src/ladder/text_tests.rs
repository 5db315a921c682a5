use super::*;
use crate::scene::{classic, trouble};
#[test]
fn show() {
    let o = Options::default();
    print!("{}", text(&classic().t, &o));
    print!("{}", text(&trouble().t, &o));
    print!(
        "{}",
        text(
            &trouble().t,
            &Options {
                lang: crate::Lang::Zh,
                ..o
            }
        )
    );
    print!(
        "{}",
        crate::tcpdump::text(&classic().t, &Default::default())
    );
    print!(
        "{}",
        crate::tcpdump::text(&trouble().t, &Default::default())
    );
    print!("{}", crate::jsonl::text(&classic().t, crate::Lang::En));
    std::fs::write("/tmp/classic.svg", super::super::svg(&classic().t, &o)).unwrap();
    std::fs::write("/tmp/trouble.svg", super::super::svg(&trouble().t, &o)).unwrap();
    std::fs::write(
        "/tmp/zh.svg",
        super::super::svg(
            &trouble().t,
            &Options {
                lang: crate::Lang::Zh,
                ..o
            },
        ),
    )
    .unwrap();
    crate::pcapng::write(
        &trouble().t,
        crate::Lang::En,
        std::fs::File::create("/tmp/trouble.pcapng").unwrap(),
    )
    .unwrap();
}
