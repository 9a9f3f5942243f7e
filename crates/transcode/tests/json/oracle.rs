//! The test proto as plans and as descriptors, and what prost-reflect makes of it.

use std::path::Path;
use std::sync::OnceLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use transcode::{JsonError, MessageId, Plans, WireError, WriteOptions};

pub(crate) const SPARSE: WriteOptions = WriteOptions { emit_defaults: false };
pub(crate) const FULL: WriteOptions = WriteOptions { emit_defaults: true };

pub(crate) struct Schema {
    pub(crate) plans: Plans,
    pub(crate) everything: MessageId,
    pub(crate) descriptor: MessageDescriptor,
}

pub(crate) fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proto");
        let files = ["transcode/test/everything.proto", "transcode/test/legacy.proto"];
        let files = protox::compile(files, [folder]).expect("the test proto compiles");
        let pool = DescriptorPool::from_file_descriptor_set(files).expect("the test proto links");
        let plans = Plans::compile(&pool);
        Schema {
            everything: plans.message("transcode.test.Everything").expect("it is in the proto"),
            descriptor: pool
                .get_message_by_name("transcode.test.Everything")
                .expect("it is in the proto"),
            plans,
        }
    })
}

impl Schema {
    pub(crate) fn write(&self, wire: &[u8], options: WriteOptions) -> Result<String, WireError> {
        let mut out = Vec::new();
        self.plans.write_json(self.everything, wire, options, &mut out)?;
        Ok(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    pub(crate) fn read(&self, json: impl AsRef<[u8]>) -> Result<Vec<u8>, JsonError> {
        let mut out = Vec::new();
        self.plans.read_json(self.everything, json.as_ref(), &mut out)?;
        Ok(out)
    }

    /// The path and the description of the one thing that is wrong.
    pub(crate) fn refusal(&self, json: impl AsRef<[u8]>) -> (String, String) {
        let mut error = self.read(json).expect_err("the JSON is wrong");
        assert_eq!(error.violations.len(), 1);
        let violation = error.violations.remove(0);
        (violation.field, violation.description)
    }

    /// JSON read by us and printed by prost-reflect.
    pub(crate) fn round(&self, json: &str) -> String {
        let wire = self.read(json).expect("the JSON is right");
        self.oracle_write(&wire, SPARSE).expect("the wire is right")
    }

    pub(crate) fn decode(&self, wire: &[u8]) -> Option<DynamicMessage> {
        DynamicMessage::decode(self.descriptor.clone(), wire).ok()
    }

    pub(crate) fn oracle_write(&self, wire: &[u8], options: WriteOptions) -> Option<String> {
        print(&self.decode(wire)?, options)
    }

    pub(crate) fn oracle_read(&self, json: &[u8]) -> Option<DynamicMessage> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let message = DynamicMessage::deserialize(self.descriptor.clone(), &mut deserializer).ok()?;
        deserializer.end().ok()?;
        Some(message)
    }
}

pub(crate) fn print(message: &DynamicMessage, options: WriteOptions) -> Option<String> {
    let mut serializer = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(!options.emit_defaults);
    message.serialize_with_options(&mut serializer, &options).ok()?;
    Some(String::from_utf8(serializer.into_inner()).expect("JSON is UTF-8"))
}

pub(crate) fn as_value(json: &str) -> serde_json::Value {
    serde_json::from_str(json).expect("it is JSON")
}
