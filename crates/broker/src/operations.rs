//! "Authorized operations" as answers carry them: bits of `AclOperation`, everything while there is no authorizer.

/// The value of a field that was not asked for.
pub const NOT_ASKED: i32 = i32::MIN;
/// Read, write, create, delete, alter, describe, describe configs, alter configs.
pub const TOPIC: i32 = 3576;
/// Read, delete, describe, describe configs, alter configs.
pub const GROUP: i32 = 3400;
/// Create, alter, describe, cluster action, describe configs, alter configs, idempotent write.
pub const CLUSTER: i32 = 8096;

/// The bits if they were asked for.
pub fn if_asked(asked: bool, bits: i32) -> i32 {
    if asked { bits } else { NOT_ASKED }
}
