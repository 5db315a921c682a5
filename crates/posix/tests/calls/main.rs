//! The calls, between two hosts in virtual time: each call's success and each of its failures.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ends;
mod open;
mod options;
mod pair;
mod ready;
mod text;
