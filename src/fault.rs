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
//! Several of them are separated by commas; each happens once. The modes are `error` (the step
//! fails), `kill` (SIGKILL to this process), `stop` (SIGSTOP: the test goes on when it sees the stop)
//! and `delay` (a fifth of a second). `SRCFS_FAULT_TRACE` names a file to which a line is appended for
//! each point that is reached: the point, and the mode if something happens there.

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
    use std::fs::File;
    use std::io::Write;
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

    impl Mode {
        fn name(self) -> &'static str {
            match self {
                Mode::Error => "error",
                Mode::Kill => "kill",
                Mode::Stop => "stop",
                Mode::Delay => "delay",
            }
        }
    }

    enum Where {
        Point(String),
        Number(u64),
    }

    /// One thing that is to happen, and whether it has.
    struct Plan {
        place: Where,
        mode: Mode,
        hit: AtomicBool,
    }

    static REACHED: AtomicU64 = AtomicU64::new(0);

    /// What `SRCFS_FAULT` asks for; nothing if it is absent or cannot be read.
    fn plans() -> &'static [Plan] {
        static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
        PLANS.get_or_init(|| {
            // Not configuration: it exists in debug builds alone, so it is read here.
            #[allow(clippy::disallowed_methods)]
            let Ok(text) = std::env::var("SRCFS_FAULT") else { return Vec::new() };
            let parsed: Option<Vec<Plan>> = text.split(',').map(parse).collect();
            if parsed.is_none() {
                log::warn!("SRCFS_FAULT={text:?} is not <point or number>:<error|kill|stop|delay>[,...]");
            }
            parsed.unwrap_or_default()
        })
    }

    /// Where `SRCFS_FAULT_TRACE` wants to have it noted what was reached.
    fn trace() -> Option<&'static File> {
        static TRACE: OnceLock<Option<File>> = OnceLock::new();
        TRACE
            .get_or_init(|| {
                #[allow(clippy::disallowed_methods)]
                let file = std::env::var_os("SRCFS_FAULT_TRACE")?;
                File::options().create(true).append(true).open(file).ok()
            })
            .as_ref()
    }

    fn parse(text: &str) -> Option<Plan> {
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
        Some(Plan { place, mode, hit: AtomicBool::new(false) })
    }

    /// How many points this process has reached.
    pub fn reached() -> u64 {
        REACHED.load(Ordering::Relaxed)
    }

    /// Called by `fault!`.
    pub fn reach(point: &str) -> Result<()> {
        let number = REACHED.fetch_add(1, Ordering::Relaxed) + 1;
        let meant = |plan: &&Plan| match &plan.place {
            Where::Point(name) => name == point,
            Where::Number(wanted) => *wanted == number,
        };
        let planned = plans().iter().filter(meant).find(|plan| !plan.hit.swap(true, Ordering::Relaxed));
        if let Some(mut trace) = trace() {
            let mode = planned.map_or("", |plan| plan.mode.name());
            // One call, so that the lines of two threads do not mix.
            let _ = trace.write_all(format!("{point} {mode}\n").as_bytes());
        }
        let Some(Plan { mode, .. }) = planned else { return Ok(()) };
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
        use super::{Mode, Plan, Where, parse};

        #[test]
        fn a_plan_names_a_point_or_a_number() {
            let plan = |text| parse(text).map(|Plan { place, mode, .. }| (place, mode));
            assert!(matches!(plan("publish.renamed:kill"), Some((Where::Point(_), Mode::Kill))));
            assert!(matches!(plan("17:stop"), Some((Where::Number(17), Mode::Stop))));
            for text in ["", "kill", "17:", "17:explode"] {
                assert!(parse(text).is_none(), "{text}");
            }
        }
    }
}

#[cfg(debug_assertions)]
pub use injected::{reach, reached};
