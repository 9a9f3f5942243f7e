//! A process with a bad environment says all that is wrong, and that starting it again will not help.

use std::process::Command;

use anyhow::Result;
use devstack::platform::binaries_beside_this_test;

const BAD_CONFIGURATION: i32 = 64;

const REQUIRED: [(&str, &[&str]); 6] = [
    (
        "edge-gateway",
        &[
            "EDGE_LISTEN",
            "EDGE_ADMIN_LISTEN",
            "EDGE_SERVICE_KEY",
            "BOOKMESH_SERVICE_KEYS",
            "BOOKMESH_AUTH_ADDRESS",
            "BOOKMESH_BOOKMARKS_ADDRESS",
            "BOOKMESH_IMPORT_ADDRESS",
            "BOOKMESH_TASK_ADDRESS",
            "BOOKMESH_ENRICH_ADDRESS",
        ],
    ),
    (
        "svc-auth",
        &[
            "AUTH_LISTEN",
            "AUTH_ADMIN_LISTEN",
            "AUTH_DATABASE_URL",
            "AUTH_MASTER_KEY",
            "AUTH_MAIL_SMTP_URL",
            "AUTH_PUBLIC_URL",
            "BOOKMESH_SERVICE_KEYS",
            "BOOKMESH_NATS_URL",
            "BOOKMESH_REDIS_URL",
        ],
    ),
    (
        "svc-bookmarks",
        &[
            "BOOKMARKS_LISTEN",
            "BOOKMARKS_ADMIN_LISTEN",
            "BOOKMARKS_DATABASE_URL",
            "BOOKMARKS_SERVICE_KEY",
            "BOOKMARKS_INDEX_FOLDER",
            "BOOKMESH_SERVICE_KEYS",
            "BOOKMESH_NATS_URL",
            "BOOKMESH_AUTH_ADDRESS",
        ],
    ),
    (
        "svc-import",
        &[
            "IMPORT_LISTEN",
            "IMPORT_ADMIN_LISTEN",
            "IMPORT_DATABASE_URL",
            "IMPORT_SERVICE_KEY",
            "BOOKMESH_SERVICE_KEYS",
            "BOOKMESH_NATS_URL",
            "BOOKMESH_OBJECT_STORE_URL",
            "BOOKMESH_AUTH_ADDRESS",
            "BOOKMESH_BOOKMARKS_ADDRESS",
            "BOOKMESH_TASK_ADDRESS",
        ],
    ),
    (
        "svc-task",
        &[
            "TASK_LISTEN",
            "TASK_ADMIN_LISTEN",
            "TASK_DATABASE_URL",
            "TASK_SERVICE_KEY",
            "BOOKMESH_SERVICE_KEYS",
            "BOOKMESH_NATS_URL",
            "BOOKMESH_AUTH_ADDRESS",
        ],
    ),
    (
        "svc-enrich",
        &[
            "ENRICH_LISTEN",
            "ENRICH_ADMIN_LISTEN",
            "ENRICH_DATABASE_URL",
            "ENRICH_SERVICE_KEY",
            "BOOKMESH_SERVICE_KEYS",
            "BOOKMESH_NATS_URL",
            "BOOKMESH_AUTH_ADDRESS",
        ],
    ),
];

#[test]
fn an_empty_environment_ends_in_64_and_the_name_of_every_missing_variable() -> Result<()> {
    for (name, variables) in REQUIRED {
        let output = Command::new(binaries_beside_this_test()?.join(name))
            .env_clear()
            .output()?;

        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(BAD_CONFIGURATION), "{name}: {complaint}");
        for variable in variables {
            assert!(complaint.contains(variable), "{variable} is not in: {complaint}");
        }
        // One line says what this is about.
        assert_eq!(complaint.lines().count(), 1 + variables.len(), "{complaint}");
    }
    Ok(())
}
