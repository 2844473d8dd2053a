//! What the daemon of a mount of another cache tells of a path in it. That cache is not opened: it may belong to
//! somebody else, and its directory may have another name here.

use super::super::daemon_status;
use super::super::mounts::Mounted;
use super::super::probe::{self, Answer, Ask};
use super::super::target::Target;
use super::super::unix_now;
use super::{Explanation, newest};

/// Explains `rest` in `target`, which was asked for by `text` as a path in `mounted`.
pub(super) fn explain(mounted: &Mounted, target: &Target, rest: &str, text: &str) -> Explanation {
    let place = mounted.mount_point.display();
    let explanation = Explanation::of(text);
    let daemon = daemon_status::read(std::slice::from_ref(mounted)).pop();
    let status = match daemon.map(|daemon| daemon.status) {
        Some(Ok(status)) => status,
        silent => {
            let why = silent.and_then(Result::err).unwrap_or_default();
            let state = format!("{place} is a mount of another cache, and does not tell of it: {why}");
            return Explanation { state: Some(state), ..explanation };
        }
    };
    let (key, reference) = (target.key.to_string(), target.reference.to_string());
    let shown = status.views.iter().find(|view| {
        view.newest && !view.revision.is_empty() && view.key == key && view.reference == reference
    });
    let failure = newest(status.errors.iter(), target, text);
    let state = match (failure, shown) {
        (Some(_), _) => None,
        (None, Some(_)) => Some(there(mounted, target, rest)),
        (None, None) => Some(format!("{place} does not show it now, and remembers no failure of it")),
    };
    let note =
        format!("{place} shows another cache: with --cache-dir {} its own notes are read", status.cache);
    Explanation {
        failure: failure.map(|error| error.failure.clone()),
        age: failure.map(|error| unix_now().saturating_sub(error.at)),
        revision: shown.map(|view| view.revision.clone()),
        state,
        notes: vec![note],
        ..explanation
    }
}

/// What is to be said of `rest` in a tree that is shown, so that nobody has to be asked for it.
fn there(mounted: &Mounted, target: &Target, rest: &str) -> String {
    let place = mounted.mount_point.display();
    let shown = format!("{place} shows {}, and remembers no failure of it", target.text);
    if rest.is_empty() {
        return shown;
    }
    match probe::ask(Ask::LookUp, &[mounted.mount_point.join(&target.text).join(rest)]).pop() {
        Some(Answer::Found(_)) => format!("{rest} exists there; {shown}"),
        Some(Answer::Errno(libc::ENOENT | libc::ENOTDIR)) => {
            format!("{rest} is not in what {place} shows there")
        }
        _ => shown,
    }
}
