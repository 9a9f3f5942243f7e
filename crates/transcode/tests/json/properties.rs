//! Over generated messages we and prost-reflect agree.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::generate::{Choices, Style, message};
use crate::oracle::{FULL, SPARSE, as_value, print, schema};

const DEPTH: usize = 4;

fn wire(bytes: &[u8], style: Style) -> Vec<u8> {
    message(&mut Choices::new(bytes), &schema().descriptor, style, DEPTH)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn ordered_wire_gives_the_bytes_of_prost_reflect(bytes in vec(any::<u8>(), 0..600)) {
        let wire = wire(&bytes, Style { ordered: true, one_key: true, plain: false });

        for options in [SPARSE, FULL] {
            let theirs = schema().oracle_write(&wire, options).expect("generated wire is right");
            prop_assert_eq!(schema().write(&wire, options), Ok(theirs));
        }
    }

    #[test]
    fn mixed_split_and_repeated_wire_gives_the_bytes_of_prost_reflect(bytes in vec(any::<u8>(), 0..600)) {
        let wire = wire(&bytes, Style { ordered: false, one_key: true, plain: false });

        for options in [SPARSE, FULL] {
            let theirs = schema().oracle_write(&wire, options).expect("generated wire is right");
            prop_assert_eq!(schema().write(&wire, options), Ok(theirs));
        }
    }

    #[test]
    fn maps_hold_what_prost_reflect_holds(bytes in vec(any::<u8>(), 0..600), ordered in any::<bool>()) {
        let wire = wire(&bytes, Style { ordered, one_key: false, plain: false });

        for options in [SPARSE, FULL] {
            let ours = schema().write(&wire, options).expect("generated wire is right");
            let theirs = schema().oracle_write(&wire, options).expect("generated wire is right");
            prop_assert_eq!(as_value(&ours), as_value(&theirs));
        }
    }

    #[test]
    fn json_of_prost_reflect_reads_back_to_the_same_message(
        bytes in vec(any::<u8>(), 0..600),
        emit_defaults in any::<bool>(),
    ) {
        let wire = wire(&bytes, Style { ordered: true, one_key: false, plain: true });
        let options = if emit_defaults { FULL } else { SPARSE };
        let json = schema().oracle_write(&wire, options).expect("generated wire is right");

        let read = schema().read(&json).expect("the JSON is right");

        let again = schema().oracle_write(&read, options).expect("what we wrote is right");
        prop_assert_eq!(as_value(&again), as_value(&json));
    }

    #[test]
    fn our_json_reads_back_to_the_same_bytes(bytes in vec(any::<u8>(), 0..600), ordered in any::<bool>()) {
        let wire = wire(&bytes, Style { ordered, one_key: false, plain: true });
        let json = schema().write(&wire, FULL).expect("generated wire is right");

        let read = schema().read(&json).expect("our own JSON is right");

        prop_assert_eq!(schema().write(&read, FULL).expect("our own wire is right"), json);
    }

    #[test]
    fn changed_json_never_reads_to_another_message_than_prost_reflect_reads(
        bytes in vec(any::<u8>(), 0..200),
        changes in vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789-+.eE\"\\{}[],:ntf \xff\xc3u".to_vec())), 1..3),
    ) {
        let wire = wire(&bytes, Style { ordered: true, one_key: true, plain: true });
        let mut json = schema().write(&wire, SPARSE).expect("generated wire is right").into_bytes();
        for (index, byte) in changes {
            let position = index.index(json.len());
            json[position] = byte;
        }

        if let (Ok(ours), Some(theirs)) = (schema().read(&json), schema().oracle_read(&json)) {
            let ours = schema().oracle_write(&ours, SPARSE).map(|json| as_value(&json));
            prop_assert_eq!(ours, print(&theirs, SPARSE).map(|json| as_value(&json)));
        }
    }

    #[test]
    fn changed_wire_never_panics_and_agrees_where_both_can_read_it(
        bytes in vec(any::<u8>(), 0..400),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        kept in any::<prop::sample::Index>(),
        ordered in any::<bool>(),
    ) {
        let mut wire = wire(&bytes, Style { ordered, one_key: true, plain: false });
        wire.push(0);
        for (index, byte) in changes {
            let position = index.index(wire.len());
            wire[position] = byte;
        }
        wire.truncate(kept.index(wire.len() + 1));

        if let (Ok(ours), Some(theirs)) = (schema().write(&wire, SPARSE), schema().oracle_write(&wire, SPARSE)) {
            prop_assert_eq!(as_value(&ours), as_value(&theirs));
        }
    }

    #[test]
    fn any_bytes_at_all_never_panic(bytes in vec(any::<u8>(), 0..80)) {
        let _ = schema().write(&bytes, FULL);
        let _ = schema().read(&bytes);
    }
}

#[test]
fn generated_messages_reach_every_field() {
    let mut reached = BTreeSet::new();
    let mut runner = TestRunner::deterministic();
    for round in 0..400 {
        let bytes = vec(any::<u8>(), 600)
            .new_tree(&mut runner)
            .expect("bytes are unconditional")
            .current();
        let style = Style {
            ordered: round % 2 == 0,
            one_key: false,
            plain: false,
        };
        let json = schema()
            .write(&wire(&bytes, style), SPARSE)
            .expect("generated wire is right");
        reached.extend(
            as_value(&json)
                .as_object()
                .expect("a message is an object")
                .keys()
                .cloned(),
        );
    }

    let declared: BTreeSet<String> = schema()
        .descriptor
        .fields()
        .map(|field| field.json_name().to_owned())
        .collect();
    assert_eq!(reached, declared);
}
