//! `serve`, `dev` and the broker of `demo`: settings from everywhere they come from, a broker, and its end.
//!
//! - The later of these wins: the file, the environment, `--set`, the flags with names of their own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use broker::{Broker, Options, StartError};
use cli::{DemoArgs, DevArgs, ServeArgs};
use config::{ConfigError, FileError, Notice, Settings};
use rt::Rt;
use sink::Definition;

use crate::sinks::Sinks;

/// Variables of ours that are no configuration keys.
const OTHER_VARIABLES: [&str; 3] = ["OTTLA_BOOTSTRAP", "OTTLA_LOG", "OTTLA_BIN"];

/// Why a broker could not be started.
enum Failure {
    /// A setting is wrong; exit code 2.
    Setting(ConfigError),
    /// The configuration file is wrong or unreadable; exit code 2.
    File(PathBuf, FileFailure),
    /// A sink in the configuration file is wrong, in words that name both; exit code 2.
    Sink(String),
    /// The broker said no; exit code 1.
    Start(StartError),
    /// The disk failed while it served; exit code 1.
    Disk(Arc<str>),
    /// The machine said no; exit code 1.
    System(std::io::Error),
}

enum FileFailure {
    Unreadable(std::io::Error),
    NotText,
    Wrong(FileError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Setting(error) => error.fmt(f),
            Failure::File(path, FileFailure::Unreadable(error)) => {
                write!(f, "the configuration file {} cannot be read: {error}", path.display())
            }
            Failure::File(path, FileFailure::NotText) => {
                write!(f, "the configuration file {} is not UTF-8 text", path.display())
            }
            Failure::File(path, FileFailure::Wrong(error)) => write!(f, "{}: {error}", path.display()),
            Failure::Sink(problem) => f.write_str(problem),
            Failure::Start(error) => error.fmt(f),
            Failure::Disk(reason) => write!(
                f,
                "stopped, because nothing can be written safely any more: {reason}. What was acknowledged is kept: \
                 start again once the disk is sound"
            ),
            Failure::System(error) => error.fmt(f),
        }
    }
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Setting(_) | Failure::File(..) | Failure::Sink(_) => ExitCode::from(2),
            Failure::Start(_) | Failure::Disk(_) | Failure::System(_) => ExitCode::FAILURE,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Setting(error)
    }
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve(rt: Rt, args: ServeArgs) -> ExitCode {
    let ready = |broker: &Broker, settings: &Settings, started: u128| {
        let addresses: Vec<String> = broker.addresses().iter().map(ToString::to_string).collect();
        let data_dir = settings.values().get("log.dirs").map_or("./ottla-data", String::as_str);
        println!("ready {} (data in {data_dir}, started in {started} ms)", addresses.join(" "));
    };
    let result = match settings(&rt, &args).await {
        Ok((settings, sinks)) => run(&rt, settings, sinks, ready).await,
        Err(failure) => Err(failure),
    };
    report(result)
}

/// Serves on a temporary folder until SIGTERM or SIGINT, and removes it.
pub async fn dev(rt: Rt, args: DevArgs) -> ExitCode {
    let folder = temporary(&rt, "dev");
    let result = dev_on(&rt, &args, &folder).await;
    remove(&rt, &folder).await;
    report(result)
}

/// Runs a demo, on a broker of its own unless another one is named.
pub async fn demo(rt: Rt, args: DemoArgs) -> ExitCode {
    let folder = temporary(&rt, "demo");
    let result = rt::select! {
        ended = demo_on(&rt, &args, &folder) => ended,
        ended = rt::os::termination_signal() => ended.map(|()| ExitCode::FAILURE).map_err(Failure::System),
    };
    remove(&rt, &folder).await;
    result.unwrap_or_else(|failure| report(Err(failure)))
}

async fn demo_on(rt: &Rt, args: &DemoArgs, folder: &Path) -> Result<ExitCode, Failure> {
    let (fs, made) = (rt.fs().clone(), folder.to_owned());
    rt.blocking(move || fs.create_dir_all(&made)).await.map_err(Failure::System)?;
    if let Some(bootstrap) = &args.bootstrap {
        return Ok(cli::run_demo(rt, args, bootstrap.clone(), folder).await);
    }
    let mut settings = Settings::default();
    settings.set("log.dirs", &folder.join("data").display().to_string())?;
    settings.set("listeners", "PLAINTEXT://localhost:0")?;
    // Demos kill members of groups, and show what becomes of it.
    settings.set("group.min.session.timeout.ms", "1000")?;
    let broker = Broker::start(rt, Options { settings }).await.map_err(Failure::Start)?;
    let ended = rt::select! {
        ended = cli::run_demo(rt, args, vec![broker.bootstrap()], folder) => Ok(ended),
        reason = broker.failed() => Err(Failure::Disk(reason)),
    };
    broker.stop().await;
    ended
}

/// A folder that nobody has.
fn temporary(rt: &Rt, what: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ottla-{what}-{:016x}", rt.random_u64()))
}

async fn remove(rt: &Rt, folder: &Path) {
    let (fs, removed) = (rt.fs().clone(), folder.to_owned());
    let removed = rt.blocking(move || fs.remove_dir_all(&removed)).await;
    if let Err(error) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("ottla: the temporary folder {} stays: {error}", folder.display());
    }
}

async fn dev_on(rt: &Rt, args: &DevArgs, folder: &Path) -> Result<(), Failure> {
    let mut settings = Settings::default();
    for (key, value) in &args.set {
        notice(settings.set(key, value)?);
    }
    settings.set("log.dirs", &folder.display().to_string())?;
    settings.set("listeners", &format!("PLAINTEXT://localhost:{}", args.port))?;
    let json = args.json;
    let ready = move |broker: &Broker, settings: &Settings, started: u128| {
        let addresses: Vec<String> = broker.addresses().iter().map(ToString::to_string).collect();
        let folder = settings.values().get("log.dirs").map_or("", String::as_str);
        if json {
            println!(
                "{{\"bootstrap\":{:?},\"addresses\":{addresses:?},\"data_dir\":{folder:?}}}",
                broker.bootstrap()
            );
        } else {
            println!(
                "ready {} (data in {folder} until the end, started in {started} ms)",
                addresses.join(" ")
            );
        }
    };
    run(rt, settings, Vec::new(), ready).await
}

async fn run(
    rt: &Rt,
    settings: Settings,
    sinks: Vec<Definition>,
    ready: impl FnOnce(&Broker, &Settings, u128),
) -> Result<(), Failure> {
    let began = rt.now();
    let options = Options { settings: settings.clone() };
    let mut signal = std::pin::pin!(rt::os::termination_signal());
    let started = rt::select! {
        // Looked at first, which takes the signals over: the system gives process 1 of a container no others, and who reads
        // `ready` may send one at once. What a start leaves behind is what a crash leaves.
        ended = &mut signal => return ended.map_err(Failure::System),
        started = Broker::start(rt, options) => started,
    };
    let broker = started.map_err(Failure::Start)?;
    if broker.addresses().iter().any(|address| address.ip().is_unspecified()) && !broker.is_advertised() {
        eprintln!(
            "ottla: listening on every interface; clients are told the address they came to. Behind a port mapping \
             or another name, set --advertise HOST:PORT"
        );
    }
    ready(&broker, &settings, rt.now().saturating_since(began).as_millis());
    let sinks = match Sinks::start(rt, &broker, sinks).await {
        Ok(sinks) => sinks,
        Err(error) => {
            broker.stop().await;
            return Err(Failure::System(error));
        }
    };
    let ended = rt::select! {
        ended = signal => ended.map_err(Failure::System),
        reason = broker.failed() => Err(Failure::Disk(reason)),
    };
    // Before the broker that they read from.
    sinks.stop().await;
    broker.stop().await;
    ended
}

/// The settings, and the sinks that the configuration file has.
async fn settings(rt: &Rt, args: &ServeArgs) -> Result<(Settings, Vec<Definition>), Failure> {
    let (mut settings, mut sinks) = (Settings::default(), Vec::new());
    if let Some(path) = &args.config {
        let text = read_text(rt, path).await.map_err(|error| Failure::File(path.clone(), error))?;
        let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        let read = if is_toml { settings.read_toml(&text) } else { settings.read_properties(&text) };
        let notices = read.map_err(|error| Failure::File(path.clone(), FileFailure::Wrong(error)))?;
        notices.into_iter().for_each(|line| notice(Some(line)));
        if is_toml {
            sinks = crate::sinks::read(rt, path, &text).await.map_err(Failure::Sink)?;
        }
    }
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !OTHER_VARIABLES.contains(&name.as_str()))
        .collect();
    let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    settings.read_environment(variables)?.into_iter().for_each(|line| notice(Some(line)));
    for (key, value) in &args.set {
        notice(settings.set(key, value)?);
    }
    if let Some(folder) = &args.data_dir {
        settings.set("log.dirs", &folder.display().to_string())?;
    }
    if !args.listen.is_empty() {
        let listeners: Vec<String> =
            args.listen.iter().map(|address| format!("PLAINTEXT://{address}")).collect();
        settings.set("listeners", &listeners.join(","))?;
    }
    if let Some(address) = &args.advertise {
        settings.set("advertised.listeners", &format!("PLAINTEXT://{address}"))?;
    }
    Ok((settings, sinks))
}

async fn read_text(rt: &Rt, path: &Path) -> Result<String, FileFailure> {
    let (fs, path) = (rt.fs().clone(), path.to_path_buf());
    let bytes = rt.blocking(move || fs.read(&path)).await.map_err(FileFailure::Unreadable)?;
    String::from_utf8(bytes).map_err(|_| FileFailure::NotText)
}

fn notice(notice: Option<Notice>) {
    if let Some(notice) = notice {
        eprintln!("ottla: {notice}");
    }
}

fn report(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ottla: {failure}");
            failure.exit_code()
        }
    }
}
