//! JSON to wire and wire to JSON against prost-reflect.

use std::sync::OnceLock;

use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use transcode::{MessageId, WriteOptions};

use crate::Contract;

const MESSAGE: &str = "transcode.test.Everything";
const SPARSE: WriteOptions = WriteOptions { emit_defaults: false };
const FULL: WriteOptions = WriteOptions { emit_defaults: true };

struct Schema {
    contract: Contract,
    message: MessageId,
    descriptor: MessageDescriptor,
}

/// What we read out of JSON is a message, and the one that prost-reflect reads.
pub fn check_reading(data: &[u8]) {
    let schema = schema();
    let mut wire = Vec::new();
    if schema
        .contract
        .plans
        .read_json(schema.message, data, &mut wire)
        .is_err()
    {
        return;
    }
    let ours = decode(schema, &wire).expect("what we wrote is a message");
    if let Some(theirs) = read_by_oracle(schema, data) {
        assert_eq!(print(&ours), print(&theirs), "{}", String::from_utf8_lossy(data));
    }
    let mut json = Vec::new();
    let written = schema
        .contract
        .plans
        .write_json(schema.message, &wire, SPARSE, &mut json);
    written.expect("a message that we wrote can be read again");
    let mut again = Vec::new();
    let read = schema.contract.plans.read_json(schema.message, &json, &mut again);
    read.expect("JSON that we wrote can be read again");
    let again = decode(schema, &again).expect("what we wrote is a message");
    assert_eq!(print(&again), print(&ours));
}

/// What we write is JSON, and what prost-reflect writes; of a broken message nothing is written.
pub fn check_writing(data: &[u8]) {
    let schema = schema();
    for options in [SPARSE, FULL] {
        let mut json = b"before".to_vec();
        let written = schema
            .contract
            .plans
            .write_json(schema.message, data, options, &mut json);
        let json = json.strip_prefix(b"before").expect("what was there stays");
        if written.is_err() {
            assert!(json.is_empty(), "{}", String::from_utf8_lossy(json));
            continue;
        }
        let ours: Value = serde_json::from_slice(json).expect("what we wrote is JSON");
        if let Some(theirs) = decode(schema, data).and_then(|message| print_with(&message, options)) {
            assert_eq!(ours, theirs);
        }
    }
}

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let contract = Contract::compile("transcode/test/everything.proto");
        Schema {
            message: contract.plans.message(MESSAGE).expect("it is in the proto"),
            descriptor: contract.pool.get_message_by_name(MESSAGE).expect("it is in the proto"),
            contract,
        }
    })
}

fn decode(schema: &Schema, wire: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(schema.descriptor.clone(), wire).ok()
}

fn read_by_oracle(schema: &Schema, json: &[u8]) -> Option<DynamicMessage> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let message = DynamicMessage::deserialize(schema.descriptor.clone(), &mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(message)
}

/// Nothing when prost-reflect cannot write it.
fn print(message: &DynamicMessage) -> Option<Value> {
    print_with(message, SPARSE)
}

fn print_with(message: &DynamicMessage, options: WriteOptions) -> Option<Value> {
    let options = SerializeOptions::new().skip_default_fields(!options.emit_defaults);
    let mut serializer = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut serializer, &options).ok()?;
    serde_json::from_slice(&serializer.into_inner()).ok()
}
