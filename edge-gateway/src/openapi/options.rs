//! What the contract's options say for people: `documentation.proto`, and of the policy what only the document needs.

use bookmesh_proto::edge::v1 as proto;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumValueDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MethodDescriptor,
    Value as Reflected,
};

pub(super) struct Options {
    api: Option<ExtensionDescriptor>,
    problem: Option<ExtensionDescriptor>,
    example: Option<ExtensionDescriptor>,
    policy: Option<ExtensionDescriptor>,
    behavior: Option<ExtensionDescriptor>,
}

/// What google.api.field_behavior says of a field.
#[derive(Default)]
pub(super) struct Behavior {
    pub(super) is_required: bool,
    pub(super) is_output_only: bool,
    pub(super) is_input_only: bool,
}

impl Options {
    pub(super) fn of(pool: &DescriptorPool) -> Self {
        Self {
            api: pool.get_extension_by_name("bookmesh.edge.v1.api"),
            problem: pool.get_extension_by_name("bookmesh.edge.v1.problem"),
            example: pool.get_extension_by_name("bookmesh.edge.v1.example"),
            policy: pool.get_extension_by_name("bookmesh.edge.v1.policy"),
            behavior: pool.get_extension_by_name("google.api.field_behavior"),
        }
    }

    /// Of the first file that says it.
    pub(super) fn api(&self, pool: &DescriptorPool) -> Option<proto::Api> {
        pool.files()
            .find_map(|file| message(self.api.as_ref(), &file.options())?.transcode_to().ok())
    }

    pub(super) fn problem(&self, value: &EnumValueDescriptor) -> Option<proto::Problem> {
        message(self.problem.as_ref(), &value.options())?.transcode_to().ok()
    }

    pub(super) fn policy(&self, rpc: &MethodDescriptor) -> proto::Policy {
        let policy = message(self.policy.as_ref(), &rpc.options());
        policy.and_then(|policy| policy.transcode_to().ok()).unwrap_or_default()
    }

    pub(super) fn example(&self, field: &FieldDescriptor) -> Option<String> {
        let options = field.options();
        let option = self.example.as_ref().filter(|option| options.has_extension(option))?;
        options.get_extension(option).as_str().map(str::to_owned)
    }

    pub(super) fn behavior(&self, field: &FieldDescriptor) -> Behavior {
        let Some(option) = &self.behavior else {
            return Behavior::default();
        };
        let options = field.options();
        let values = options.get_extension(option);
        let has = |number| match values.as_ref() {
            Reflected::List(values) => values.iter().any(|value| value.as_enum_number() == Some(number)),
            _ => false,
        };
        Behavior {
            is_required: has(2),
            is_output_only: has(3),
            is_input_only: has(4),
        }
    }
}

fn message(option: Option<&ExtensionDescriptor>, options: &DynamicMessage) -> Option<DynamicMessage> {
    let option = option.filter(|option| options.has_extension(option) && matches!(option.kind(), Kind::Message(_)))?;
    options.get_extension(option).as_message().cloned()
}
