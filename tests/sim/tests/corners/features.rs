//! Features of the cluster: `transaction.version`, which says what protocol of transactions producers speak.

use model::ErrorCode;
use wire::update_features::FeatureUpdateKey;
use wire::{ApiVersionsRequest, UpdateFeaturesRequest};

use crate::committed_offsets::{partition_of, stored_in};
use crate::connection::{Connection, error};
use crate::isolation::ONE_SEGMENT;
use crate::peer::{Peer, check};
use crate::topic::with_topic;
use crate::transactional::Transactional;
use crate::transactions::write_first;

const FEATURE: &str = "transaction.version";
const API_VERSIONS: i16 = 4;
const UPDATE: i16 = 2;

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

fn update(feature: &str, level: i16, upgrade_type: i8) -> UpdateFeaturesRequest<'static> {
    let update = FeatureUpdateKey {
        feature: feature.to_owned().into(),
        max_version_level: level,
        upgrade_type,
        ..FeatureUpdateKey::default()
    };
    UpdateFeaturesRequest { feature_updates: vec![update], ..UpdateFeaturesRequest::default() }
}

/// The level that is told to clients, and how far the metadata were.
async fn told(connection: &mut Connection) -> (Option<i16>, i64) {
    let request =
        ApiVersionsRequest { client_software_name: "corner".into(), client_software_version: "1".into() };
    let answer = connection.ask(&request, API_VERSIONS).await;
    let supported = answer.supported_features.iter().find(|feature| feature.name == FEATURE).unwrap();
    assert_eq!((supported.min_version, supported.max_version), (0, 2));
    let finalized = answer.finalized_features.iter().find(|feature| feature.name == FEATURE);
    if let Some(finalized) = finalized {
        assert_eq!(finalized.min_version_level, finalized.max_version_level);
    }
    (finalized.map(|feature| feature.max_version_level), answer.finalized_features_epoch)
}

/// Waits until clients are told of a level; none is told of 0.
async fn tells(connection: &mut Connection, level: i16) -> i64 {
    for _ in Connection::looks() {
        let (told, epoch) = told(connection).await;
        if told.unwrap_or(0) == level {
            assert_eq!(told.is_none(), level == 0);
            return epoch;
        }
        connection.pause().await;
    }
    panic!("nobody is told of level {level}");
}

async fn set(connection: &mut Connection, level: i16, upgrade_type: i8) {
    let answer = connection.ask(&update(FEATURE, level, upgrade_type), UPDATE).await;
    assert_eq!(error(answer.error_code), ErrorCode::None, "{:?}", answer.error_message);
    tells(connection, level).await;
}

/// The version of the record that says what became of a producer that was just initialized.
async fn record_version(peer: &Peer, connection: &mut Connection) -> [u8; 2] {
    let id = Transactional::new(peer, connection).await.transactional_id;
    let stored = stored_in(connection, "__transaction_state", partition_of(&id)).await;
    let at = stored.windows(id.len()).position(|window| window == id.as_bytes()).unwrap();
    // Behind the key comes the length of the value, in one byte since a transaction without partitions is short.
    let value = at + id.len() + 1;
    [stored[value], stored[value + 1]]
}

#[test]
fn c77_producers_are_told_the_protocol_by_the_level_of_the_feature() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let before = tells(&mut connection, 2).await;
        for (feature, level, upgrade_type, sentence) in [
            (
                FEATURE,
                1,
                UPGRADE,
                "Can't downgrade the version of this feature without setting the upgrade type",
            ),
            (FEATURE, 3, UPGRADE, "only supports versions 0-2"),
            (FEATURE, -1, SAFE_DOWNGRADE, "A feature version cannot be less than 0."),
            (FEATURE, 2, 0, "The controller does not support the given upgrade type."),
            ("no.such.feature", 1, UPGRADE, "does not support this feature."),
        ] {
            let answer = connection.ask(&update(feature, level, upgrade_type), UPDATE).await;
            assert_eq!(error(answer.error_code), ErrorCode::InvalidUpdateVersion, "{feature} {level}");
            let message = answer.error_message.unwrap();
            assert!(message.contains(sentence), "{message}");
        }
        let tried = UpdateFeaturesRequest { validate_only: true, ..update(FEATURE, 0, SAFE_DOWNGRADE) };
        let tried = connection.ask(&tried, UPDATE).await;
        assert_eq!(error(tried.error_code), ErrorCode::None);
        assert_eq!(told(&mut connection).await.0, Some(2));

        for (level, upgrade_type, version) in [
            (1, SAFE_DOWNGRADE, [0, 1]),
            (0, UNSAFE_DOWNGRADE, [0, 0]),
            (1, UPGRADE, [0, 1]),
            (2, UPGRADE, [0, 1]),
            (2, UPGRADE, [0, 1]),
        ] {
            set(&mut connection, level, upgrade_type).await;
            assert_eq!(record_version(&peer, &mut connection).await, version, "level {level}");
            // A transaction is taken over in a new epoch, whatever the protocol.
            let mut one = Transactional::new(&peer, &mut connection).await;
            write_first(&mut one, &mut connection, &topic).await;
            let next = one.init(&mut connection, -1, -1).await;
            assert_eq!((next.producer_id, next.producer_epoch), (one.id, one.epoch + 2), "level {level}");
        }
        let upward = connection.ask(&update(FEATURE, 2, SAFE_DOWNGRADE), UPDATE).await;
        assert_eq!(error(upward.error_code), ErrorCode::None, "the level in force may be asked for");
        assert!(before < told(&mut connection).await.1, "the metadata went on");
    });
}

#[test]
fn c77_older_tools_are_answered_feature_by_feature() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        for version in 0..UPDATE {
            let answer = connection.ask(&update(FEATURE, 2, UPGRADE), version).await;
            assert_eq!(error(answer.error_code), ErrorCode::None);
            let names: Vec<_> = answer.results.iter().map(|result| result.feature.as_ref()).collect();
            assert_eq!(names, [FEATURE], "version {version}");
        }
    });
}

mod simulated {
    use super::*;
    use crate::peer::simulated;

    #[test]
    fn c77_a_level_outlives_a_crash() {
        simulated(&[], async |simulated| {
            let mut connection = simulated.peer.connect().await;
            set(&mut connection, 0, SAFE_DOWNGRADE).await;
            let mut connection = simulated.restart().await;
            assert_eq!(told(&mut connection).await.0, None);
            assert_eq!(record_version(&simulated.peer, &mut connection).await, [0, 0]);
        });
    }
}
