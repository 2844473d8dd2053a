//! Named points at which a test makes srcfs fail, die, stop or hesitate.
//!
//! `fault!("publish.renamed")?` stands after each step whose interruption must leave the cache whole.
//! In a release build it is `Ok(())`, known at compile time. In a debug build the environment
//! variable `SRCFS_FAULT` chooses one point and what happens there:
//!
//! - `<point>:<mode>`: the first time that point is reached,
//! - `<number>:<mode>`: at the so-manieth point that this process reaches, whichever it is, so that a
//!   driver can go through all of them without knowing their names.
//!
//! The modes are `error` (the step fails), `kill` (SIGKILL to this process), `stop` (SIGSTOP: the
//! test goes on when it sees the stop) and `delay` (a fifth of a second).

/// A point that a test can hit; a `Result<(), Error>`.
#[macro_export]
macro_rules! fault {
    ($point:literal) => {{
        #[cfg(debug_assertions)]
        let outcome = $crate::fault::reach($point);
        #[cfg(not(debug_assertions))]
        let outcome = Ok::<(), $crate::error::Error>(());
        outcome
    }};
}

#[cfg(debug_assertions)]
mod injected {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use nix::sys::signal::{Signal, raise};

    use crate::error::{Error, Kind, Result};

    #[derive(Clone, Copy)]
    enum Mode {
        Error,
        Kill,
        Stop,
        Delay,
    }

    enum Where {
        Point(String),
        Number(u64),
    }

    static REACHED: AtomicU64 = AtomicU64::new(0);
    static HIT: AtomicBool = AtomicBool::new(false);

    /// What `SRCFS_FAULT` asks for; nothing if it is absent or cannot be read.
    fn plan() -> Option<&'static (Where, Mode)> {
        static PLAN: OnceLock<Option<(Where, Mode)>> = OnceLock::new();
        PLAN.get_or_init(|| {
            // Not configuration: it exists in debug builds alone, so it is read here.
            #[allow(clippy::disallowed_methods)]
            let text = std::env::var("SRCFS_FAULT").ok()?;
            let parsed = parse(&text);
            if parsed.is_none() {
                log::warn!("SRCFS_FAULT={text:?} is not <point or number>:<error|kill|stop|delay>");
            }
            parsed
        })
        .as_ref()
    }

    fn parse(text: &str) -> Option<(Where, Mode)> {
        let (place, mode) = text.rsplit_once(':')?;
        let mode = match mode {
            "error" => Mode::Error,
            "kill" => Mode::Kill,
            "stop" => Mode::Stop,
            "delay" => Mode::Delay,
            _ => return None,
        };
        let place = match place.parse() {
            Ok(number) => Where::Number(number),
            Err(_) => Where::Point(place.to_owned()),
        };
        Some((place, mode))
    }

    /// How many points this process has reached.
    pub fn reached() -> u64 {
        REACHED.load(Ordering::Relaxed)
    }

    /// Called by `fault!`.
    pub fn reach(point: &str) -> Result<()> {
        let number = REACHED.fetch_add(1, Ordering::Relaxed) + 1;
        let Some((place, mode)) = plan() else { return Ok(()) };
        let hit = match place {
            Where::Point(name) => name == point,
            Where::Number(wanted) => *wanted == number,
        };
        if !hit || HIT.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        log::info!("fault {number} {point}");
        let failed = |why: String| Error::new(Kind::Io, format!("pass the point {point}"), why);
        match mode {
            Mode::Error => return Err(failed("SRCFS_FAULT asked for this".into())),
            Mode::Kill => raise(Signal::SIGKILL).map_err(|error| failed(error.to_string()))?,
            Mode::Stop => raise(Signal::SIGSTOP).map_err(|error| failed(error.to_string()))?,
            Mode::Delay => std::thread::sleep(Duration::from_millis(200)),
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::{Mode, Where, parse};

        #[test]
        fn a_plan_names_a_point_or_a_number() {
            assert!(matches!(parse("publish.renamed:kill"), Some((Where::Point(_), Mode::Kill))));
            assert!(matches!(parse("17:stop"), Some((Where::Number(17), Mode::Stop))));
            for text in ["", "kill", "17:", "17:explode"] {
                assert!(parse(text).is_none(), "{text}");
            }
        }
    }
}

#[cfg(debug_assertions)]
pub use injected::{reach, reached};
