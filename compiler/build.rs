//! Turns `grammar/twinml.lalrpop` into the parser.

fn main() {
    println!("cargo:rerun-if-changed=../grammar/twinml.lalrpop");
    println!("cargo:rerun-if-changed=build.rs");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    lalrpop::Configuration::new()
        .set_in_dir("../grammar")
        .set_out_dir(out)
        .process()
        .expect("grammar/twinml.lalrpop has no conflict");
}
