//! `ottla cluster …`

use client::Admin;
use rt::Rt;

use crate::args::{ClusterArgs, ClusterCommand};
use crate::cell::Cell;
use crate::failure::Failure;
use crate::output::{Output, column, wide};

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: ClusterArgs) -> Result<(), Failure> {
    let client = crate::connect(rt, &args.connect).await?;
    let mut output = Output::new(args.output.output);
    match args.command {
        ClusterCommand::Describe => {
            let cluster = Admin::new(&client).describe_cluster().await?;
            let columns = [column("node"), column("address"), column("controller"), wide("rack")];
            let rows: Vec<Vec<Cell>> = (cluster.nodes.iter())
                .map(|node| {
                    vec![
                        Cell::Int(node.id.0.into()),
                        Cell::text(format_args!("{}:{}", node.host, node.port)),
                        Cell::Bool(cluster.controller == Some(node.id)),
                        Cell::maybe(node.rack.as_ref()),
                    ]
                })
                .collect();
            if output.is_json() {
                let object = |row: Vec<Cell>| {
                    Cell::Object(columns.iter().map(|column| column.name).zip(row).collect())
                };
                output.json(&Cell::Object(vec![
                    ("cluster_id", Cell::text(&cluster.cluster_id)),
                    ("controller", cluster.controller.map_or(Cell::None, |id| Cell::Int(id.0.into()))),
                    ("nodes", Cell::List(rows.into_iter().map(object).collect())),
                ]));
            } else {
                output.heading(&format!("Cluster {}", cluster.cluster_id));
                output.table(&columns, &rows);
            }
        }
    }
    output.finish(rt).await
}
