//! MariaDB, of Debian's package `mariadb-server`, with the settings that the server itself has.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::shared::{Heir, Shared};
use crate::{free_port, is_root, run, skip};

const PROGRAM: &str = "/usr/sbin/mariadbd";

/// Longest wait for it to serve; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(90);

static SHARED: Shared<Server> = Shared::new();

/// A database on a server.
pub struct MariaDb {
    server: Arc<Server>,
    database: String,
}

struct Server {
    folder: PathBuf,
    port: u16,
    /// What it is started with beside where it is.
    options: &'static [&'static str],
    /// None after a server that did not start.
    child: Mutex<Option<Child>>,
}

impl Server {
    /// Starts one in a folder that is not there yet; none where it is not installed.
    fn start(folder: &Path, port: u16, options: &'static [&'static str]) -> Option<Server> {
        if !Path::new(PROGRAM).exists() {
            skip("MariaDB");
            return None;
        }
        // Servers that are made at the same time make temporary tables of the same names.
        let temporary = folder.join("tmp");
        std::fs::create_dir_all(&temporary).expect("a folder");
        std::fs::set_permissions(&temporary, Permissions::from_mode(0o777)).expect("its owner may");
        let server = Server { folder: folder.to_owned(), port, options, child: Mutex::new(None) };
        let mut install = Command::new("mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.arg(server.option("datadir", "data")).args(user()).env("TMPDIR", &temporary);
        run(&mut install);
        std::fs::write(
            folder.join("users.sql"),
            "CREATE DATABASE IF NOT EXISTS ottla;\nCREATE USER IF NOT EXISTS ottla@'127.0.0.1';\n\
             GRANT ALL ON *.* TO ottla@'127.0.0.1' WITH GRANT OPTION;\n",
        )
        .expect("a file");
        server.start_again();
        Some(server)
    }

    fn option(&self, name: &str, file: &str) -> String {
        format!("--{name}={}", self.folder.join(file).display())
    }

    fn client(&self) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--batch", "--skip-column-names", "-h", "127.0.0.1", "-u", "ottla"]);
        command.arg(format!("-P{}", self.port));
        command
    }

    /// Starts it on what is there.
    fn start_again(&self) {
        let mut command = Command::new(PROGRAM);
        command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"]).args(user());
        command.arg(self.option("datadir", "data")).arg(self.option("socket", "data/socket"));
        command.arg(self.option("init-file", "users.sql")).arg(format!("--port={}", self.port));
        command.args(self.options).env("TMPDIR", self.folder.join("tmp"));
        let log = std::fs::File::create(self.folder.join("log")).expect("a file");
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().expect("a server");
        let deadline = Instant::now() + PATIENCE;
        while !self.client().args(["-e", "SELECT 1"]).output().is_ok_and(|told| told.status.success()) {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let has_ended = child.try_wait().expect("its state").is_some();
            assert!(!has_ended && Instant::now() < deadline, "it does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        *self.child.lock().expect("no panic before") = Some(child);
    }

    fn kill(&self) {
        if let Some(mut child) = self.child.lock().expect("no panic before").take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl MariaDb {
    /// Starts a server; none where it is not installed.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(name: &str) -> Option<MariaDb> {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        MariaDb::start_at(&folder)
    }

    /// Starts one in a folder that is not there yet, and below which is enough room.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_at(folder: &Path) -> Option<MariaDb> {
        let server = Arc::new(Server::start(folder, free_port(), &[])?);
        Some(MariaDb { server, database: "ottla".to_owned() })
    }

    /// A new database on the server that all have together who ask so: they do not kill it, nor set it up otherwise, and
    /// users of theirs have names that nobody else's have. It waits for no disk, as nobody pulls its plug.
    ///
    /// # Panics
    /// It does not start.
    pub fn shared(database: &str) -> Option<MariaDb> {
        let server = SHARED.get(|| {
            let port = free_port();
            let folder = format!("shared-mariadb-{}-{port}", std::process::id());
            let options = &["--innodb-flush-log-at-trx-commit=0"];
            let server = Server::start(&std::env::temp_dir().join(folder), port, options)?;
            let pid = server.child.lock().expect("no panic before").as_ref().map(Child::id);
            let heir = Heir::of(pid.expect("it runs"), "KILL", &server.folder);
            Some((server, heir))
        })?;
        run(server.client().args(["-e", &format!("CREATE DATABASE {database}")]));
        Some(MariaDb { server, database: database.to_owned() })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Kills it (`kill -9`), and starts it again on what that left.
    ///
    /// # Panics
    /// It does not start.
    pub fn kill_and_start_again(&self) {
        self.server.kill();
        self.server.start_again();
    }

    /// Its address, for a user who may do anything.
    pub fn url(&self) -> String {
        format!("mysql://ottla@127.0.0.1:{}/{}", self.port(), self.database)
    }

    /// `mariadb` on it, whose answers have no heads, and a tab between columns.
    pub fn client(&self) -> Command {
        let mut command = self.server.client();
        command.args(["-D", &self.database]);
        command
    }

    /// What a statement answers, with | between columns.
    ///
    /// # Panics
    /// It is refused.
    pub fn ask(&self, statement: &str) -> String {
        run(self.client().args(["-e", statement])).replace('\t', "|")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Root's server runs as the user that the package made.
fn user() -> Option<&'static str> {
    is_root().then_some("--user=mysql")
}
