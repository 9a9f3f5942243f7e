//! Groups, required fields and defaults of proto2 files.

use prost::Message;
use prost_reflect::DynamicMessage;

use crate::oracle::{FULL, print, schema};

const JSON: &str = r#"{"number":0,"point":{"x":1,"mark":[{"name":"a"},{"name":"b"}]},"unpacked":[1,2]}"#;

#[test]
fn groups_are_written_as_messages() {
    let descriptor = schema()
        .descriptor
        .parent_pool()
        .get_message_by_name("transcode.test.Legacy");
    let descriptor = descriptor.expect("it is in the proto");
    let mut json = serde_json::Deserializer::from_str(JSON);
    let message = DynamicMessage::deserialize(descriptor, &mut json).expect("the JSON is right");
    let id = schema()
        .plans
        .message("transcode.test.Legacy")
        .expect("it is in the proto");

    let mut out = Vec::new();
    schema()
        .plans
        .write_json(id, &message.encode_to_vec(), FULL, &mut out)
        .expect("the wire is right");

    assert_eq!(String::from_utf8_lossy(&out), JSON);
    assert_eq!(print(&message, FULL).as_deref(), Some(JSON));
}

#[test]
fn groups_are_read_as_messages() {
    let descriptor = schema()
        .descriptor
        .parent_pool()
        .get_message_by_name("transcode.test.Legacy");
    let id = schema()
        .plans
        .message("transcode.test.Legacy")
        .expect("it is in the proto");

    let mut wire = Vec::new();
    schema()
        .plans
        .read_json(id, JSON.as_bytes(), &mut wire)
        .expect("the JSON is right");

    let message = DynamicMessage::decode(descriptor.expect("it is in the proto"), wire.as_slice());
    assert_eq!(
        print(&message.expect("what we wrote is right"), FULL).as_deref(),
        Some(JSON)
    );
}
