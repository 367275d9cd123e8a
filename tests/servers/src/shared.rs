//! A server that the tests of one process have together, each with a database of its own.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// A server that is there from when it is first wanted until the process ends.
pub(crate) struct Shared<S>(Mutex<Option<(Arc<S>, Heir)>>);

impl<S> Shared<S> {
    pub(crate) const fn new() -> Shared<S> {
        Shared(Mutex::new(None))
    }

    /// The one that is there, or a new one.
    pub(crate) fn get(&self, start: impl FnOnce() -> Option<(S, Heir)>) -> Option<Arc<S>> {
        // Where somebody's start failed there is none, and the next one says why.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = start().map(|(server, heir)| (Arc::new(server), heir));
        }
        known.as_ref().map(|(server, _)| server.clone())
    }
}

/// What ends a server and removes its folder when this process has ended, in whatever way: then nobody holds the other end
/// of its input. What is static is never dropped.
pub(crate) struct Heir {
    _input: Option<ChildStdin>,
}

impl Heir {
    pub(crate) fn of(pid: u32, signal: &str, folder: &Path) -> Heir {
        const SCRIPT: &str = "read -r _; kill -s $1 $0; for _ in $(seq 50); do kill -0 $0 2>/dev/null || break; sleep 0.1; done; rm -rf $2";
        let mut heir = Command::new("sh");
        heir.args(["-c", SCRIPT, &pid.to_string(), signal]).arg(folder);
        // Not of the group that a terminal's interrupt ends.
        heir.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Heir { _input: heir.spawn().expect("a shell").stdin }
    }
}
