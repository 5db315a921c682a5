use core::time::Duration;

use proptest::prelude::*;

use super::{Effect, Turn, recognise};
use crate::profile::Profile;

fn sysctl(name: &str, value: &str) -> Effect {
    Effect::Set(Turn::Sysctl {
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

fn unsupported(name: &str) -> Effect {
    Effect::Unsupported(name.to_owned())
}

#[test]
fn sysctls_in_every_spelling() {
    let name = "net.ipv4.tcp_sack";
    let cases = [
        "sysctl net.ipv4.tcp_sack=0",
        "sysctl -q -w net.ipv4.tcp_sack=0 > /dev/null 2>&1",
        "/sbin/sysctl -w 'net.ipv4.tcp_sack=0'",
        "sysctl -w net.ipv4.tcp_sack = 0",
        "sysctl net/ipv4/tcp_sack=0",
        "./set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0",
        "echo 0 > /proc/sys/net/ipv4/tcp_sack",
        "echo -n 0 >/proc/sys/net/ipv4/tcp_sack",
        "sudo sysctl -w net.ipv4.tcp_sack=0 # off",
        "A=1 sysctl \\\n -w net.ipv4.tcp_sack=\"0\"",
    ];
    for text in cases {
        assert_eq!(recognise(text), [sysctl(name, "0")], "{text}");
    }
    assert_eq!(
        recognise(
            "sysctl -w net.ipv4.tcp_rmem=\"4096  540000\t15000000\" a.b=1; sysctl c.d=2 && sysctl e.f=3\nsysctl g"
        ),
        [
            sysctl("net.ipv4.tcp_rmem", "4096 540000 15000000"),
            sysctl("a.b", "1"),
            sysctl("c.d", "2"),
            sysctl("e.f", "3"),
            Effect::Nothing("it only prints"),
        ]
    );
}

#[test]
fn files_of_the_suites() {
    for text in [
        "../common/defaults.sh",
        "source ./defaults.sh",
        ". \"$(dirname $0)/defaults.sh\"",
        "sh defaults.sh",
    ] {
        assert_eq!(
            recognise(text),
            [Effect::Defaults(Profile::Linux)],
            "{text}"
        );
    }
    assert!(matches!(
        recognise("/tmp/sysctl_restore_${PPID}.sh")[..],
        [Effect::Nothing(_)]
    ));
}

#[test]
fn routes_and_links() {
    let cases = [
        (
            "ip route change 192.0.2.0/24 dev tun0 initcwnd 3",
            Effect::Set(Turn::InitialWindow(3)),
        ),
        (
            "ip -6 ro replace default via ::1 advmss 500",
            Effect::Set(Turn::Mss(500)),
        ),
        (
            "ip route add 1.2.3.4 dev tun0 rto_min 50ms",
            Effect::Set(Turn::MinRto(Duration::from_millis(50))),
        ),
        (
            "ip link set dev tun0 mtu 1400",
            Effect::Set(Turn::Mtu(1400)),
        ),
        (
            "ip route add default dev tun0 mtu lock 1200",
            Effect::Set(Turn::Mtu(1200)),
        ),
        (
            "ip route add default dev tun0 features ecn",
            unsupported("ip route features"),
        ),
        ("ip link set tun0 down", unsupported("ip link set down")),
        (
            "tc qdisc add dev tun0 root netem delay 10ms",
            unsupported("tc netem"),
        ),
        ("ip rule add x", unsupported("ip rule")),
    ];
    for (text, effect) in cases {
        assert_eq!(recognise(text), [effect], "{text}");
    }
    let harmless = [
        "ip tcp_metrics flush all > /dev/null",
        "ip route flush cache",
        "ethtool -K tun0 tso off gso off",
        "tc qdisc replace dev tun0 root pfifo",
        "nstat -n",
        "ip link set dev tun0 gso_max_segs 2",
        "rm -f /tmp/x",
        "dd if=/dev/zero of=/tmp/x bs=1 count=1",
        "echo hello",
        "true",
        "ip route add 1.2.3.4 dev tun0",
    ];
    for text in harmless {
        assert!(
            matches!(recognise(text)[..], [Effect::Nothing(_)]),
            "{text}"
        );
    }
}

#[test]
fn states_of_sockets() {
    let text = "sockstat -4 -c -s -p 8080 | grep -v foo | grep -c TIME_WAIT | grep -q 1";
    let count = Effect::Count {
        state: "TIME_WAIT".to_owned(),
        count: 1,
    };
    assert_eq!(recognise(text), [count]);
    assert_eq!(
        recognise("sockstat | grep -c ESTABLISHED | grep ^0$"),
        [Effect::Count {
            state: "ESTABLISHED".to_owned(),
            count: 0
        }]
    );
    assert!(matches!(
        recognise("sockstat | grep X")[..],
        [Effect::Unsupported(_)]
    ));
    assert_eq!(
        recognise("tcpdrop -s TIME_WAIT"),
        [Effect::Drop("TIME_WAIT".to_owned())]
    );
    assert!(matches!(
        recognise("tcpdrop -l -a")[..],
        [Effect::Nothing(_)]
    ));
}

#[test]
fn what_is_not_known_is_named() {
    let cases = [
        ("iptables -A INPUT", "iptables INPUT"),
        ("nstat | grep Tcp", "nstat | grep"),
        ("if true; then x; fi", "the shell's `if`"),
        ("echo $(curl x)", "the shell's $(curl)"),
        ("kldload tcp_rack", "kldload tcp_rack"),
        ("grep x /proc/net/tcp", "grep x"),
        ("echo 'abc", "a quote without its end"),
    ];
    for (text, name) in cases {
        assert_eq!(recognise(text)[..1], [unsupported(name)], "{text}");
    }
    assert!(recognise(&"x".repeat(100_000)).len() == 1);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn sysctls_turn_knobs() {
    let turn = |name: &str, value: &str| {
        let mut knobs = Profile::Linux.knobs();
        let turn = Turn::Sysctl {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        turn.apply(&mut knobs).map(|()| knobs)
    };
    assert!(!turn("net.ipv4.tcp_timestamps", "0").unwrap().tcp.timestamps);
    assert!(!turn("net.ipv4.tcp_sack", "0").unwrap().tcp.sack);
    let idle = turn("net.ipv4.tcp_slow_start_after_idle", "1").unwrap();
    assert!(idle.tcp.slow_start_after_idle && !Profile::Linux.knobs().tcp.slow_start_after_idle);
    let paced = turn("net.ipv4.tcp_pacing_ss_ratio", "300").unwrap().tcp;
    assert_eq!(paced.pacing_percent_slow_start, 300);
    let paced = turn("net.ipv4.tcp_pacing_ca_ratio", "150").unwrap().tcp;
    assert_eq!(paced.pacing_percent_avoidance, 150);
    let loss = |name: &str, value: &str| turn(name, value).unwrap().tcp.loss_detection;
    let all = woshou_tcp::LossDetection::default();
    assert_eq!(loss("net.ipv4.tcp_recovery", "1"), all);
    assert!(!loss("net.ipv4.tcp_recovery", "0").rack);
    assert!(loss("net.ipv4.tcp_recovery", "3").rack_static_window);
    assert!(!loss("net.ipv4.tcp_recovery", "5").rack_duplicate_threshold);
    assert_eq!(loss("net.ipv4.tcp_early_retrans", "4"), all);
    assert!(!loss("net.ipv4.tcp_early_retrans", "2").tail_loss_probe);
    assert!(!loss("net.ipv4.tcp_frto", "0").frto);
    assert!(!loss("net.ipv4.tcp_dsack", "0").duplicate_sack);
    assert_eq!(
        turn("net.ipv4.tcp_rmem", "4096 20000 100000")
            .unwrap()
            .tcp
            .receive_buffer,
        10_000
    );
    assert_eq!(
        turn("net.ipv4.tcp_rmem", "4096 20000 100000")
            .unwrap()
            .tcp
            .window_scale,
        Some(1)
    );
    assert_eq!(
        turn("net.ipv4.tcp_syn_retries", "1")
            .unwrap()
            .tcp
            .open_timeout,
        Duration::from_secs(3)
    );
    assert_eq!(
        turn("net.ipv4.tcp_reordering", "5")
            .unwrap()
            .tcp
            .duplicate_threshold,
        5
    );
    assert_eq!(
        turn("net.inet.tcp.recvspace", "8192")
            .unwrap()
            .tcp
            .receive_buffer,
        8192
    );
    assert_eq!(
        turn("kern.ipc.maxsockbuf", "2097152")
            .unwrap()
            .tcp
            .window_scale,
        Some(6)
    );
    assert_eq!(
        turn("net.inet.tcp.rexmit_initial", "3000")
            .unwrap()
            .tcp
            .initial_rto,
        Duration::from_secs(3)
    );
    let off = turn("net.inet.tcp.rfc1323", "0").unwrap().tcp;
    assert!(!off.timestamps && !off.window_scaling);
    assert_eq!(
        turn("net.ipv4.tcp_ecn", "1").unwrap().tcp.ecn,
        woshou_tcp::EcnPolicy::Request
    );
    assert!(
        turn("net.inet.tcp.drop_synfin", "1")
            .unwrap()
            .stack
            .drop_syn_fin
    );
    let silent = turn("net.inet.tcp.blackhole", "2").unwrap().stack;
    assert_eq!(silent.closed_ports, woshou_stack::ClosedPorts::Silent);
    for (name, value, algorithm) in [
        ("net.ipv4.tcp_congestion_control", "reno", "newreno"),
        ("net.ipv4.tcp_congestion_control", "dctcp", "dctcp"),
        ("net.inet.tcp.cc.algorithm", "cubic", "cubic"),
        ("net.inet.tcp.cc.algorithm", "newreno", "newreno"),
    ] {
        let knobs = turn(name, value).unwrap();
        assert_eq!(knobs.tcp.congestion.name(), algorithm, "{name}={value}");
    }
    let bare = |value| turn("net.inet.tcp.rexmit_drop_options", value).unwrap();
    assert_eq!(bare("1").tcp.bare_syn_after, Some(3));
    assert_eq!(bare("0").tcp.bare_syn_after, None);
    let refused = [
        ("net.ipv4.tcp_mtu_probing", "1"),
        ("net.ipv4.tcp_ecn", "3"),
        ("net.inet.tcp.insecure_rst", "1"),
        ("net.inet.tcp.blackhole", "3"),
        ("net.ipv4.tcp_congestion_control", "vegas"),
        ("net.ipv4.tcp_brandnew", "1"),
        ("vm.swappiness", "1"),
        ("net.inet.tcp.functions_default", "rack"),
    ];
    for (name, value) in refused {
        assert_eq!(
            turn(name, value).unwrap_err(),
            format!("sysctl {name}={value}")
        );
    }
    for (name, value) in [
        ("net.ipv4.tcp_mtu_probing", "0"),
        ("net.inet.tcp.hostcache.purgenow", "1"),
        ("net.core.rmem_max", "1"),
    ] {
        assert!(turn(name, value).is_ok(), "{name}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9 =|;&><'\"$()\\\\#\n./-]{0,80}") {
        let mut knobs = Profile::FreeBsd.knobs();
        for effect in recognise(&text) {
            if let Effect::Set(turn) = effect {
                let _ = turn.apply(&mut knobs);
            }
        }
    }

    #[test]
    fn no_number_makes_a_knob_panic(name in "net.ipv4.tcp_(rmem|wmem|syn_retries|retries2|keepalive_time|rto_min_us|rto_max_ms|fin_timeout)|net.inet.tcp.(rexmit_min|rexmit_slop|msl|recvspace|keepcnt)|kern.ipc.maxsockbuf", value in any::<i64>()) {
        let mut knobs = Profile::FreeBsd.knobs();
        let _ = Turn::Sysctl { name, value: format!("{value} {value} {value}") }.apply(&mut knobs);
    }
}
