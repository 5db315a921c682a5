//! What a path is said to be, in words: queues, bursts, holds, policers.

use std::time::Duration;

use woshou_sim::experiment::QueueSize;
use woshou_sim::link::codel::Codel;
use woshou_sim::link::loss::Bursts;
use woshou_sim::link::reorder::Reordering;

use super::units;

/// `off` and `none` mean nothing at all.
pub(super) fn unless_off<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match text {
        "off" | "none" | "0" => Ok(None),
        text => parse(text).map(Some),
    }
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" | "yes" => Ok(true),
        "off" | "false" | "no" => Ok(false),
        _ => Err(format!("{text:?} is neither on nor off")),
    }
}

pub(super) fn time_up_to(text: &str, most: Duration) -> Result<Duration, String> {
    let time = units::time(text)?;
    if time > most {
        return Err(format!("{text} is longer than a day"));
    }
    Ok(time)
}

pub(super) fn queue(text: &str) -> Result<QueueSize, String> {
    let says = || format!("{text:?} is no queue; write 1bdp, 100p, 64k or none");
    if text == "none" || text == "off" {
        return Ok(QueueSize::Endless);
    }
    if let Some(products) = text.strip_suffix("bdp") {
        let products: f64 = products.trim_end().parse().map_err(|_| says())?;
        if !(0.0..=1e6).contains(&products) {
            return Err(says());
        }
        return Ok(QueueSize::Bdp(products));
    }
    if let Some(packets) = text.strip_suffix('p') {
        let packets = packets.trim_end().parse().map_err(|_| says())?;
        return Ok(QueueSize::Packets(packets));
    }
    let octets = units::octets(text).map_err(|_| says())?;
    Ok(QueueSize::Octets(octets))
}

pub(super) fn aqm(text: &str) -> Result<Codel, String> {
    let says = || format!("{text:?} is no queue management; write codel, codel:5ms:100ms or off");
    let mut parts = text.split(':');
    if parts.next() != Some("codel") {
        return Err(says());
    }
    let usual = Codel::default();
    let mut part = |usual| match parts.next() {
        None => Ok(usual),
        Some(text) => units::time(text)
            .ok()
            .filter(|time| !time.is_zero())
            .ok_or_else(says),
    };
    let codel = Codel {
        target: part(usual.target)?,
        interval: part(usual.interval)?,
        ..usual
    };
    if parts.next().is_some() {
        return Err(says());
    }
    Ok(codel)
}

pub(super) fn bursts(text: &str) -> Result<Bursts, String> {
    let (rate, length) = units::pair(text, "1%:4")?;
    let rate = units::share(rate)?;
    let length: f64 = length
        .parse()
        .ok()
        .filter(|length| (1.0..=1e6).contains(length))
        .ok_or_else(|| format!("{length:?} is no length of a burst; write 1%:4"))?;
    Ok(Bursts::of(rate, length))
}

pub(super) fn reorder(text: &str) -> Result<Reordering, String> {
    let (chance, hold) = units::pair(text, "1%:5ms")?;
    let chance = units::share(chance)?;
    let (least, most) = hold.split_once('-').unwrap_or((hold, hold));
    let (least, most) = (units::time(least)?, units::time(most)?);
    if most < least {
        return Err(format!("{hold:?} ends before it begins"));
    }
    Ok(Reordering::between(chance, least, most))
}

pub(super) fn policer(text: &str) -> Result<(u64, u64), String> {
    let (rate, burst) = units::pair(text, "50M:64k")?;
    Ok((units::rate(rate)?, units::octets(burst)?))
}

pub(super) fn window(text: &str) -> Result<(f64, f64), String> {
    let (from, to) = text
        .split_once('-')
        .ok_or_else(|| format!("{text:?} has two ends; write 1.2s-1.6s"))?;
    let (from, to) = (units::time(from)?, units::time(to)?);
    if from >= to {
        return Err(format!("{text:?} ends before it begins"));
    }
    Ok((from.as_secs_f64(), to.as_secs_f64()))
}
