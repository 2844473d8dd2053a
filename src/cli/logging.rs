//! The log: on stderr, one line an event, and no line with a credential or a control character.

use std::io::Write;

use log::LevelFilter;

use super::output::clean;

/// Starts the log. `filter` (of `SRCFS_LOG`, in the form of env_logger) stands over the options.
pub fn start(verbose: u8, quiet: bool, filter: Option<&str>) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => LevelFilter::Warn,
        (false, 1) => LevelFilter::Info,
        (false, 2) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_module("srcfs", level).filter_module("srcfs_mount", level);
    builder.filter_module("fuser", level.min(LevelFilter::Warn));
    if let Some(filter) = filter {
        builder.parse_filters(filter);
    }
    // No filter raises these: in detail they tell where a server sends us, which may hold a secret.
    for module in ["ureq", "ureq_proto", "rustls"] {
        builder.filter_module(module, level.min(LevelFilter::Warn));
    }
    builder.format(|out, record| {
        let time = out.timestamp_millis();
        let message = clean(&record.args().to_string()).replace('\n', "\n  ");
        writeln!(out, "{time} {:5} {}: {message}", record.level(), record.target())
    });
    // A second start (in tests) keeps the first.
    builder.try_init().ok();
}
