pub(crate) fn attacker(_: &str, _: &str, _: &str) {}
