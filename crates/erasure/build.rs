//! Compiles again when a migration is added: the folder is embedded.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
