//! DescribeClientQuotas (48), versions 0-1: none is set, because none would be kept (AlterClientQuotas refuses).
//!
//! - A filter that Kafka refuses is refused in its words; every other one selects nothing.

use std::collections::BTreeSet;

use model::ErrorCode;
use wire::describe_client_quotas::ComponentData;
use wire::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use crate::call::Call;

const MATCH_EXACT: i8 = 0;
const MATCH_DEFAULT: i8 = 1;
const MATCH_SPECIFIED: i8 = 2;

pub async fn handle(
    _: &Call<'_>,
    request: DescribeClientQuotasRequest<'_>,
    _: i16,
) -> DescribeClientQuotasResponse<'static> {
    match check(&request.components) {
        Ok(()) => DescribeClientQuotasResponse { entries: Some(Vec::new()), ..Default::default() },
        Err((error, message)) => DescribeClientQuotasResponse {
            error_code: error.code(),
            error_message: Some(message.into()),
            entries: None,
            ..Default::default()
        },
    }
}

fn check(components: &[ComponentData<'_>]) -> Result<(), (ErrorCode, String)> {
    let mut types = BTreeSet::new();
    for component in components {
        check_match(component)?;
        let entity = component.entity_type.as_ref();
        match entity {
            "user" | "client-id" | "ip" => {}
            "" => return Err(invalid("Invalid empty entity type.")),
            other => {
                return Err((ErrorCode::UnsupportedVersion, format!("Unsupported entity type {other}")));
            }
        }
        if !types.insert(entity) {
            return Err(invalid(format!("Entity type {entity} cannot appear more than once in the filter.")));
        }
    }
    if types.contains("ip") && 1 < types.len() {
        return Err(invalid(
            "Invalid entity filter component combination. IP filter component should not be used with user or \
             clientId filter component.",
        ));
    }
    Ok(())
}

fn check_match(component: &ComponentData<'_>) -> Result<(), (ErrorCode, String)> {
    let is_named = component.r#match.is_some();
    let but_named = |kind: &str| invalid(format!("Request specified {kind}, but also specified a match string."));
    match component.match_type {
        MATCH_EXACT if !is_named => {
            Err(invalid("Request specified MATCH_TYPE_EXACT, but set match string to null."))
        }
        MATCH_DEFAULT if is_named => Err(but_named("MATCH_TYPE_DEFAULT")),
        MATCH_SPECIFIED if is_named => Err(but_named("MATCH_TYPE_SPECIFIED")),
        MATCH_EXACT | MATCH_DEFAULT | MATCH_SPECIFIED => Ok(()),
        other => Err(invalid(format!("Unknown match type {other}"))),
    }
}

fn invalid(message: impl Into<String>) -> (ErrorCode, String) {
    (ErrorCode::InvalidRequest, message.into())
}
