//! The soak's mounts: daemons that are killed and started again, and are gone at the end.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::soak::Soak;

/// How long a start or an end may take.
const BOUND: Duration = Duration::from_secs(60);

/// One mount point and, while it lives, its daemon.
pub struct Mount {
    /// Where it is.
    pub place: PathBuf,
    log: PathBuf,
    daemon: Mutex<Option<(Child, String)>>,
    up: AtomicBool,
    kills: AtomicU64,
}

impl Mount {
    /// Not mounted yet.
    pub fn new(soak: &Soak, name: &str) -> Mount {
        let place = soak.program.path().join(name);
        let log = soak.program.path().join(format!("{name}.log"));
        Mount { place, log, daemon: Mutex::default(), up: AtomicBool::new(false), kills: AtomicU64::new(0) }
    }

    /// Whether it can be read.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    /// How often it was killed. Grows before the signal is sent, so whoever finds it unchanged after a
    /// read met no death.
    pub fn kills(&self) -> u64 {
        self.kills.load(Ordering::SeqCst)
    }

    /// Starts its daemon; returns when the mount answers.
    pub fn start(&self, soak: &Soak) -> Result<(), String> {
        let (mut command, agent) = soak.srcfs("daemon", &["mount", "--foreground"]);
        let log = std::fs::File::options().create(true).append(true).open(&self.log);
        let log = log.map_err(|error| format!("{}: {error}", self.log.display()))?;
        command.arg(&self.place).stdout(Stdio::null()).stderr(log);
        let daemon = command.spawn().map_err(|error| format!("start a daemon: {error}"))?;
        let mut held = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some((daemon, agent));
        let pid = held.as_ref().map_or(0, |(daemon, _)| daemon.id());
        let until = Instant::now() + BOUND;
        // A name of the dead mount before it may still be remembered by the kernel; what it answers is not.
        while self.server() != Some(pid) {
            let ended = held.as_mut().and_then(|(daemon, _)| daemon.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > until {
                return Err(format!("{} does not come up: {ended:?}", self.place.display()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.up.store(true, Ordering::SeqCst);
        if std::env::var_os("SRCFS_SOAK_LOG").is_some() {
            println!("{:7.2} s  {} is up", soak.elapsed().as_secs_f64(), self.place.display());
        }
        Ok(())
    }

    /// The daemon that answers.
    fn server(&self) -> Option<u32> {
        let text = std::fs::read(self.place.join(".srcfs/status.json")).ok()?;
        let status: serde_json::Value = serde_json::from_slice(&text).ok()?;
        status["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
    }

    /// Kills its daemon by SIGKILL.
    pub fn kill(&self, soak: &Soak) {
        let mut held = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((mut daemon, agent)) = held.take() else { return };
        self.up.store(false, Ordering::SeqCst);
        self.kills.fetch_add(1, Ordering::SeqCst);
        if std::env::var_os("SRCFS_SOAK_LOG").is_some() {
            println!("{:7.2} s  {} is killed", soak.elapsed().as_secs_f64(), self.place.display());
        }
        soak.was_killed(&agent);
        let _ = daemon.kill();
        let _ = daemon.wait();
    }

    /// Unmounts, and waits for the daemon to end by itself.
    pub fn stop(&self, soak: &Soak) -> Result<(), String> {
        self.up.store(false, Ordering::SeqCst);
        let Some((mut daemon, _)) = self.daemon.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        let (mut command, _) = soak.srcfs("verb", &["unmount"]);
        let unmounted = command.arg(&self.place).output();
        let until = Instant::now() + BOUND;
        while daemon.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > until {
                let _ = daemon.kill();
                let _ = daemon.wait();
                return Err(format!("the daemon of {} did not end: {unmounted:?}", self.place.display()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        match unmounted {
            Ok(output) if output.status.success() => Ok(()),
            other => Err(format!("unmount {}: {other:?}", self.place.display())),
        }
    }
}
