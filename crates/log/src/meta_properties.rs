//! `meta.properties`: whose folder it is, in the lines Kafka writes.

use model::{BrokerId, ClusterId, Uuid};

/// The identity of a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The node.
    pub node_id: BrokerId,
    /// The folder itself, unique in the cluster.
    pub directory_id: Uuid,
}

impl MetaProperties {
    pub(crate) fn to_text(self) -> String {
        format!(
            "#\nnode.id={}\ndirectory.id={}\nversion=1\ncluster.id={}\n",
            self.node_id, self.directory_id, self.cluster_id
        )
    }

    /// Reads the lines, in any order and with others between them; `None` when one is missing or damaged.
    pub(crate) fn from_text(bytes: &[u8]) -> Option<MetaProperties> {
        let text = std::str::from_utf8(bytes).ok()?;
        let value = |key: &str| {
            let pairs =
                text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
            pairs.filter(|(found, _)| found.trim() == key).map(|(_, value)| value.trim()).next_back()
        };
        if value("version")? != "1" {
            return None;
        }
        Some(MetaProperties {
            cluster_id: ClusterId(value("cluster.id")?.parse().ok()?),
            node_id: BrokerId(value("node.id")?.parse().ok()?),
            directory_id: value("directory.id")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_file_is_read_and_ours_too() {
        let kafkas = "#\n#Sat Nov 21 10:23:55 UTC 2026\nnode.id=1\ndirectory.id=yQmeY0macrW3N2SHhF0-hw\n\
                      version=1\ncluster.id=g7mujY8qRF-8TWpxydjFTA\n";
        let meta = MetaProperties::from_text(kafkas.as_bytes()).expect("Kafka's own file");
        assert_eq!(meta.node_id, BrokerId(1));
        assert_eq!(meta.cluster_id.to_string(), "g7mujY8qRF-8TWpxydjFTA");
        assert_eq!(meta.directory_id.to_string(), "yQmeY0macrW3N2SHhF0-hw");
        assert_eq!(MetaProperties::from_text(meta.to_text().as_bytes()), Some(meta));
        assert_eq!(MetaProperties::from_text(kafkas.replace("version=1", "version=0").as_bytes()), None);
        assert_eq!(MetaProperties::from_text(b"version=1\n"), None);
    }
}
