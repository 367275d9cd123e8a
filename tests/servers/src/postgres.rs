//! PostgreSQL, of Debian's package `postgresql`, with the settings it comes with.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use crate::shared::{Heir, Shared};
use crate::{free_port, is_root, run, skip};

/// What `psql` says behind each answer of a session.
const END: &str = "-- end of the answer";

static SHARED: Shared<Server> = Shared::new();

/// A database on a server.
pub struct Postgres {
    server: Arc<Server>,
    database: String,
}

struct Server {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    /// What it is started with beside where it is.
    options: &'static str,
}

impl Server {
    /// Starts one; none where it is not installed.
    fn start(name: &str, options: &'static str) -> Option<Server> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok();
        let newest =
            versions.and_then(|versions| versions.filter_map(|entry| Some(entry.ok()?.path())).max());
        let Some(version) = newest else {
            skip("PostgreSQL");
            return None;
        };
        let port = free_port();
        // Not below the target folder, which the user `postgres` may not be able to reach.
        let folder = std::env::temp_dir().join(format!("{name}-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let server = Server { programs: version.join("bin"), folder, port, options };
        if is_root() {
            let id = |what| run(Command::new("id").args([what, "postgres"])).parse().expect("a number");
            chown(&server.folder, Some(id("-u")), Some(id("-g"))).expect("root may give it away");
        }
        let mut initdb = server.command("initdb");
        run(initdb.args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"]).arg(server.data()));
        server.start_again();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of its programs, as a user that it does not refuse.
    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        if !is_root() {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
        command.current_dir(&self.folder);
        command
    }

    fn start_again(&self) {
        assert!(self.control("start"), "see {}", self.folder.join("log").display());
    }

    /// Whether it did what it was told.
    fn control(&self, verb: &str) -> bool {
        let place = format!("-p {} -h 127.0.0.1 -k {}", self.port, self.folder.display());
        let mut command = self.command("pg_ctl");
        command.args(["-w", "-m", "immediate", "-o", &format!("{place} {}", self.options), verb]);
        command.arg("-D").arg(self.data()).arg("-l").arg(self.folder.join("log"));
        // A server keeps what it is given open.
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

impl Postgres {
    /// Starts a server; none where it is not installed.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(name: &str) -> Option<Postgres> {
        let server = Arc::new(Server::start(name, "")?);
        Some(Postgres { server, database: "postgres".to_owned() })
    }

    /// A new database on the server that all have together who ask so: they do not kill it, nor set it up otherwise, and
    /// users of theirs have names that nobody else's have. It waits for no disk, as nobody pulls its plug.
    ///
    /// # Panics
    /// It does not start.
    pub fn shared(database: &str) -> Option<Postgres> {
        let server = SHARED.get(|| {
            let server = Server::start("shared-postgres", "-c fsync=off")?;
            let pid = std::fs::read_to_string(server.data().join("postmaster.pid")).expect("it runs");
            let pid =
                pid.lines().next().and_then(|pid| pid.parse().ok()).expect("its first line is a number");
            let heir = Heir::of(pid, "QUIT", &server.folder);
            Some((server, heir))
        })?;
        let common = Postgres { server, database: "postgres".to_owned() };
        common.ask(&format!("CREATE DATABASE {database}"));
        Some(Postgres { database: database.to_owned(), ..common })
    }

    /// Its folder, in which it listens to a socket, too.
    pub fn folder(&self) -> &Path {
        &self.server.folder
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Starts it on what is there.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again(&self) {
        self.server.start_again();
    }

    /// Kills it, and starts it again on what that left.
    ///
    /// # Panics
    /// It does not start.
    pub fn kill_and_start_again(&self) {
        self.kill();
        self.start_again();
    }

    /// Kills it.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&self) {
        assert!(self.server.control("stop"), "it runs");
    }

    /// Its address, for a user who may do anything.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port(), self.database)
    }

    /// `psql` on it, whose answers have no heads, and | between columns.
    pub fn psql(&self) -> Command {
        let mut command = Command::new("psql");
        command.arg(self.url()).args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        command
    }

    /// What a statement answers.
    ///
    /// # Panics
    /// It is refused.
    pub fn ask(&self, statement: &str) -> String {
        run(self.psql().args(["-c", statement]))
    }

    /// A conversation with it, for many short questions.
    ///
    /// # Panics
    /// There is no `psql`.
    pub fn session(&self) -> Session {
        let mut child =
            self.psql().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql is installed");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Session {
            child,
            input: input.expect("it is piped"),
            output: BufReader::new(output.expect("it is piped")),
        }
    }
}

/// One `psql` that is asked again and again.
pub struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// What a statement answers.
    ///
    /// # Panics
    /// It is refused, or the server is gone.
    pub fn ask(&mut self, statement: &str) -> String {
        writeln!(self.input, "{statement};\n\\echo {END}").expect("psql listens");
        let mut answer = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("lines of text");
            assert!(0 < read, "{statement}: psql ended");
            if line.trim_end() == END {
                answer.truncate(answer.trim_end().len());
                return answer;
            }
            answer.push_str(&line);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control("stop");
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
