//! `ottla cluster …`

use client::{Admin, Client, DescribedCluster, Feature, LogDir, Offered};
use model::BrokerId;
use rt::Rt;
use wire::ApiKey;

use crate::args::{ClusterArgs, ClusterCommand};
use crate::cell::{Cell, Tone};
use crate::failure::Failure;
use crate::output::{Column, Output, column, object, wide};

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: ClusterArgs) -> Result<(), Failure> {
    let client = crate::connect(rt, &args.connect).await?;
    let mut output = Output::new(args.output.output);
    match args.command {
        ClusterCommand::Describe => describe(&client, &mut output).await?,
    }
    output.finish(rt).await
}

const NODE_COLUMNS: [Column; 6] = [
    column("node"),
    column("address"),
    column("rack"),
    column("controller"),
    column("partitions"),
    column("size"),
];

const DIR_COLUMNS: [Column; 7] = [
    column("node"),
    column("folder"),
    column("partitions"),
    column("size"),
    column("free"),
    wide("capacity"),
    column("health"),
];

const FEATURE_COLUMNS: [Column; 4] =
    [column("feature"), column("supported_min"), column("supported_max"), column("finalized")];

const API_COLUMNS: [Column; 4] = [column("api"), column("key"), column("min"), column("max")];

async fn describe(client: &Client, output: &mut Output) -> Result<(), Failure> {
    let admin = Admin::new(client);
    let cluster = admin.describe_cluster().await?;
    let dirs = admin.log_dirs(None).await?;
    let first = cluster.nodes.first().map(|node| node.id);
    let offered = match first {
        Some(node) if output.is_json() || output.is_wide() => Some(admin.offered(node).await?),
        Some(_) | None => None,
    };
    let nodes = node_rows(&cluster, &dirs);
    let folders: Vec<Vec<Cell>> = dirs.iter().map(dir_row).collect();
    if output.is_json() {
        let list = |columns: &[Column], rows: Vec<Vec<Cell>>| {
            Cell::List(rows.into_iter().map(|row| object(columns, row)).collect())
        };
        let (features, apis) = offered.as_ref().map_or_else(Default::default, rows_of);
        output.json(&Cell::Object(vec![
            ("cluster_id", Cell::text(&cluster.cluster_id)),
            ("controller", cluster.controller.map_or(Cell::None, |id| Cell::Int(id.0.into()))),
            ("nodes", list(&NODE_COLUMNS, nodes)),
            ("folders", list(&DIR_COLUMNS, folders)),
            ("features", list(&FEATURE_COLUMNS, features)),
            ("apis", list(&API_COLUMNS, apis)),
        ]));
        return Ok(());
    }
    output.heading(&format!("Cluster {}", cluster.cluster_id));
    output.table(&NODE_COLUMNS, &nodes);
    output.heading("Folders");
    output.table(&DIR_COLUMNS, &folders);
    if let (Some(offered), Some(node)) = (&offered, first) {
        let (features, apis) = rows_of(offered);
        output.heading(&format!("Features of node {node}"));
        output.table(&FEATURE_COLUMNS, &features);
        output.heading(&format!("APIs of node {node}, with their versions"));
        output.table(&API_COLUMNS, &apis);
    }
    Ok(())
}

fn node_rows(cluster: &DescribedCluster, dirs: &[LogDir]) -> Vec<Vec<Cell>> {
    let of = |id: BrokerId| dirs.iter().filter(move |dir| dir.node == id);
    let row = |node: &client::Node| {
        let partitions: usize = of(node.id).map(|dir| dir.partitions.len()).sum();
        let size: u64 = of(node.id).flat_map(|dir| dir.partitions.values()).sum();
        vec![
            Cell::Int(node.id.0.into()),
            Cell::text(address(node)),
            Cell::maybe(node.rack.as_ref()),
            Cell::Bool(cluster.controller == Some(node.id)),
            Cell::count(partitions),
            Cell::Bytes(size),
        ]
    };
    cluster.nodes.iter().map(row).collect()
}

/// `HOST:PORT` as it is typed.
fn address(node: &client::Node) -> String {
    if node.host.contains(':') {
        format!("[{}]:{}", node.host, node.port)
    } else {
        format!("{}:{}", node.host, node.port)
    }
}

fn dir_row(dir: &LogDir) -> Vec<Cell> {
    let health = match dir.error {
        None if dir.usable_bytes == Some(0) => Cell::Toned(Tone::Bad, "full: records are refused".to_owned()),
        None => Cell::Toned(Tone::Good, "ok".to_owned()),
        Some(code) => Cell::Toned(Tone::Bad, code.to_string()),
    };
    vec![
        Cell::Int(dir.node.0.into()),
        Cell::text(&dir.path),
        Cell::count(dir.partitions.len()),
        Cell::Bytes(dir.partitions.values().sum()),
        Cell::bytes(dir.usable_bytes),
        Cell::bytes(dir.total_bytes),
        health,
    ]
}

/// Rows of features and of APIs.
fn rows_of(offered: &Offered) -> (Vec<Vec<Cell>>, Vec<Vec<Cell>>) {
    let feature = |feature: &Feature| {
        vec![
            Cell::text(&feature.name),
            Cell::Int(feature.supported.0.into()),
            Cell::Int(feature.supported.1.into()),
            feature.finalized.map_or(Cell::None, |version| Cell::Int(version.into())),
        ]
    };
    let api = |(&key, versions): (&i16, &wire::VersionRange)| {
        let name = ApiKey::from_i16(key).map_or(Cell::None, Cell::text);
        vec![name, Cell::Int(key.into()), Cell::Int(versions.first.into()), Cell::Int(versions.last.into())]
    };
    (offered.features.iter().map(feature).collect(), offered.apis.iter().map(api).collect())
}
