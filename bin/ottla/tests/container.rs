//! The files in `deploy/` agree with the binary and the repository: no container engine is needed to see that.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};

use config::{BrokerConfig, Layers, Settings};

const DATA_DIR: &str = "/var/lib/ottla";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What stands behind each line that begins with `word`.
fn instructions(dockerfile: &str, word: &str) -> Vec<String> {
    let joined = dockerfile.replace("\\\n", " ");
    joined.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).map(str::to_owned).collect()
}

/// The words of an instruction written as a list.
fn words(list: &str) -> Vec<String> {
    serde_json::from_str(&list[list.find('[').unwrap()..]).unwrap()
}

/// The lines `NAME: value` below `environment:`.
fn environment(compose: &str) -> Vec<(String, String)> {
    let below = compose.lines().skip_while(|line| line.trim() != "environment:").skip(1);
    let pair = |line: &str| {
        let (name, value) = line.trim().split_once(": ")?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    below.map_while(pair).collect()
}

#[test]
fn the_image_runs_commands_that_the_binary_has() {
    let dockerfile = text("deploy/Dockerfile");
    let [entry] = instructions(&dockerfile, "ENTRYPOINT").try_into().unwrap();
    let cli::Command::Serve(args) = cli::parse_from(words(&entry)).unwrap() else { panic!("it serves") };
    assert_eq!(args.data_dir.as_deref(), Some(Path::new(DATA_DIR)));
    assert_eq!(instructions(&dockerfile, "VOLUME"), [DATA_DIR]);
    assert!(instructions(&dockerfile, "RUN").iter().any(|run| run.contains(&format!("ottla {DATA_DIR}"))));
    let [health] = instructions(&dockerfile, "HEALTHCHECK").try_into().unwrap();
    assert!(matches!(cli::parse_from(words(&health)).unwrap(), cli::Command::Client(_)));
}

#[test]
fn the_image_listens_where_it_can_be_reached() {
    let dockerfile = text("deploy/Dockerfile");
    let variables = instructions(&dockerfile, "ENV");
    let variables: Vec<_> = variables.iter().map(|variable| variable.split_once('=').unwrap()).collect();
    let mut settings = Settings::default();
    assert_eq!(settings.read_environment(variables), Ok(vec![]));
    let config = BrokerConfig::resolve(&Layers::fixed(&settings)).unwrap();
    let [listener] = config.listeners.try_into().unwrap();
    assert_eq!(listener.to_string(), "PLAINTEXT://0.0.0.0:9092");
    assert_eq!(instructions(&dockerfile, "EXPOSE"), [listener.port.to_string()]);
}

#[test]
fn the_image_is_built_of_what_is_there() {
    let dockerfile = text("deploy/Dockerfile");
    let ignored = text("deploy/Dockerfile.dockerignore");
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut copied = Vec::new();
    for copy in instructions(&dockerfile, "COPY") {
        let mut sources: Vec<&str> = copy.split_whitespace().collect();
        sources.pop();
        match sources.as_slice() {
            ["--from=build", built] => assert_eq!(*built, "/source/target/release/ottla"),
            sources => copied.extend(sources.iter().map(|source| (*source).to_owned())),
        }
    }
    copied.sort();
    let mut kept: Vec<String> = kept.into_iter().map(str::to_owned).collect();
    kept.sort();
    assert_eq!(copied, kept, "the build sees what it copies, and nothing else");
    assert!(copied.iter().all(|path| root().join(path).exists()), "{copied:?}");
    let manifest = text("Cargo.toml");
    let members = words(manifest.lines().find(|line| line.starts_with("members = ")).unwrap());
    let is_copied = |member: &String| copied.iter().any(|path| member.starts_with(path.as_str()));
    assert!(members.iter().all(is_copied), "{members:?} are built of {copied:?}");
    let rust =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert_eq!(instructions(&dockerfile, "FROM")[0], format!("rust:{rust}-slim AS build"));
}

#[test]
fn compose_stands_in_for_the_tutorials_containers() {
    let compose = text("deploy/compose.yaml");
    assert!(compose.contains("dockerfile: deploy/Dockerfile\n"));
    assert!(compose.contains(&format!("- data:{DATA_DIR}\n")));
    let variables = environment(&compose);
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    let tutorial =
        ["KAFKA_ZOOKEEPER_CONNECT", "KAFKA_ADVERTISED_LISTENERS", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"];
    assert_eq!(names, tutorial);
    let mut settings = Settings::default();
    let all = [("OTTLA_DEFAULT_HOST", "0.0.0.0")];
    let all = all.into_iter().chain(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let notices = settings.read_environment(all).unwrap();
    let notices: Vec<String> = notices.iter().map(ToString::to_string).collect();
    assert_eq!(notices, ["zookeeper.connect is not needed here and was ignored"]);
    let config = BrokerConfig::resolve(&Layers::fixed(&settings)).unwrap();
    let [listener] = config.listeners.try_into().unwrap();
    assert_eq!((listener.host.as_str(), listener.port), ("", 9092), "every interface");
    assert!(compose.contains(&format!("- \"{0}:{0}\"\n", listener.port)));
    let [advertised] = config.advertised_listeners.try_into().unwrap();
    assert_eq!(advertised.to_string(), "PLAINTEXT://localhost:9092");
}
