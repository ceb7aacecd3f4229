// SPDX-License-Identifier: MIT
//! Where libpagearena is: PAGEARENA_LIB_DIR, or what pkg-config says, or the linker's own places.
//! PAGEARENA_STATIC=1 links the static library.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=PAGEARENA_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PAGEARENA_STATIC");
    let dir = env::var("PAGEARENA_LIB_DIR").ok().or_else(|| {
        let out = Command::new("pkg-config")
            .args(["--variable=libdir", "libpagearena"])
            .output()
            .ok()?;
        let dir = String::from_utf8(out.stdout).ok()?.trim().to_string();
        (out.status.success() && !dir.is_empty()).then_some(dir)
    });
    if let Some(dir) = dir {
        println!("cargo:rustc-link-search=native={dir}");
    }
    if env::var("PAGEARENA_STATIC").map_or(false, |v| v == "1") {
        println!("cargo:rustc-link-lib=static=pagearena");
    } else {
        println!("cargo:rustc-link-lib=pagearena");
    }
}
