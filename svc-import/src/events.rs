//! What svc-import publishes.

use bookmesh_proto::imports::v1::ImportCompleted;
use outbox::NewEvent;
use prost::Message;
use sqlx::PgConnection;

use crate::{domain::Import, grpc::to_proto};

/// Tells that an import ended, in the transaction that ended it.
pub(crate) async fn put_completed(connection: &mut PgConnection, import: &Import) -> sqlx::Result<()> {
    let message = ImportCompleted {
        owner_id: import.owner_id.to_string(),
        import: Some(to_proto(import)),
    };
    let event = NewEvent {
        subject: outbox::subject("imports", "import_completed", import.owner_id),
        event_type: "bookmesh.imports.v1.ImportCompleted",
        owner_id: import.owner_id,
        aggregate_id: import.id,
        version: import.version,
        payload: message.encode_to_vec(),
    };
    outbox::put(connection, event).await?;
    Ok(())
}
