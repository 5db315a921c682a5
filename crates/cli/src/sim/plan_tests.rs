use super::*;

fn plan(flags: &[(&str, &str)]) -> Result<Plan, String> {
    let flags = flags
        .iter()
        .map(|(name, text)| (key(name).expect("a key").name, (*text).to_owned()))
        .collect();
    Plan::new(&Sim { file: None, flags }).map_err(|failure| failure.to_string())
}

#[test]
fn lists_make_a_matrix_whose_last_key_varies_fastest() {
    let plan = plan(&[("cc", "newreno"), ("loss", "0, 1%"), ("rate", "10M,1G")]).unwrap();
    assert_eq!(plan.axes, ["rate", "loss"]);
    let cells: Vec<_> = plan
        .cells
        .iter()
        .map(|cell| (cell.rate / 1_000_000, cell.loss))
        .collect();
    assert_eq!(cells, [(10, 0.0), (10, 0.01), (1000, 0.0), (1000, 0.01)]);
}

#[test]
fn every_default_is_what_the_help_says() {
    let plan = plan(&[]).unwrap();
    let [cell] = plan.cells.as_slice() else {
        panic!("one cell")
    };
    // Saying the defaults changes nothing: the experiments look the same.
    for key in &KEYS {
        let Some((_, default)) = key.help.rsplit_once("[default: ") else {
            continue;
        };
        let default = default.split([';', ']']).next().unwrap_or_default();
        let What::Axis(set) = key.what else { continue };
        if default.contains("stack") {
            continue;
        }
        let mut said = cell.clone();
        set(&mut said, default).unwrap_or_else(|why| panic!("{}: {why}", key.name));
        assert_eq!(
            format!("{:?}", said.experiment()),
            format!("{:?}", cell.experiment()),
            "{}",
            key.name
        );
    }
}

#[test]
fn each_key_changes_the_experiment() {
    let plain = plan(&[("duration", "100s")]).unwrap().cells[0].experiment();
    for (name, text) in [
        ("rate", "1G"),
        ("rtt", "1ms"),
        ("queue", "0.5bdp"),
        ("queue", "10p"),
        ("queue", "64k"),
        ("queue", "none"),
        ("mark", "30k"),
        ("ecn", "on"),
        ("aqm", "codel"),
        ("aqm", "codel:1ms:20ms"),
        ("loss", "1%"),
        ("bursts", "1%:4"),
        ("reorder", "1%:5ms"),
        ("reorder", "1%:1ms-20ms"),
        ("jitter", "1ms"),
        ("duplicate", "1%"),
        ("ack-loss", "1%"),
        ("ack-compression", "3ms"),
        ("policer", "50M:64k"),
        ("back-rate", "1M"),
        ("mtu", "9000"),
        ("flows", "2"),
        ("bytes", "1M"),
        ("warm-up", "1s"),
    ] {
        let changed = plan(&[("duration", "100s"), (name, text)]).unwrap().cells[0].experiment();
        assert_ne!(
            format!("{changed:?}"),
            format!("{plain:?}"),
            "{name} {text}"
        );
    }
    let plain = plan(&[("flows", "2")]).unwrap().cells[0].experiment();
    let changed = plan(&[("flows", "2"), ("stagger", "1s")]).unwrap().cells[0].experiment();
    assert_ne!(format!("{changed:?}"), format!("{plain:?}"));
}

#[test]
fn what_makes_no_sense_is_said_in_a_line() {
    for (flags, says) in [
        (
            &[("rate", "fast")][..],
            "--rate: \"fast\" is no rate; write 100M",
        ),
        (&[("rate", "10M,")], "--rate: a value is missing"),
        (&[("rate", "10M,10M")], "--rate: \"10M\" is there twice"),
        (&[("loss", "101%")], "--loss"),
        (&[("reorder", "1%")], "--reorder: \"1%\" has two parts"),
        (&[("reorder", "1%:5ms-1ms")], "ends before it begins"),
        (&[("queue", "1 bdb")], "--queue"),
        (
            &[("cc", "vegas")],
            "--cc: no congestion control is called \"vegas\"",
        ),
        (&[("aqm", "red")], "--aqm: \"red\" is no queue management"),
        (&[("aqm", "codel:1ms:2ms:3ms")], "--aqm"),
        (&[("aqm", "codel:0")], "--aqm"),
        (&[("flows", "0")], "--flows: \"0\" is no number from 1 to"),
        (&[("duration", "0")], "--duration"),
        (&[("duration", "2000min")], "--duration"),
        (&[("duration", "1s"), ("warm-up", "1s")], "--warm-up"),
        (
            &[("duration", "1s"), ("flows", "3"), ("stagger", "500ms")],
            "--stagger",
        ),
        (&[("policer", "1M:100")], "--policer"),
        (&[("window", "2s-1s")], "--window"),
        (&[("queue", "18446744073709551615p")], "--queue"),
        (&[("queue", "1e300bdp")], "--queue"),
        (&[("rate", "1000G"), ("rtt", "1000s")], "--queue"),
        (&[("seeds", "0")], "--seeds"),
    ] {
        let error = plan(flags).unwrap_err();
        assert!(error.contains(says), "{flags:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let many: Vec<_> = (1..=101).map(|n| n.to_string()).collect();
    let many = many.join(",");
    let rates: Vec<_> = (1..=100).map(|n| format!("{n}M")).collect();
    let error = plan(&[("rate", &rates.join(",")), ("flows", &many)]).unwrap_err();
    assert!(error.contains("more than 10000 cells"), "{error}");
}
