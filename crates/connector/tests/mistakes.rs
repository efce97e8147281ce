//! What the compiler says to the likeliest mistakes: the error names the thing that is wrong, and a
//! note says what would be right.
//!
//! After a change of the texts:
//! `TRYBUILD=overwrite cargo test -p couplet-connector --test mistakes -- --ignored`, and the same
//! with `--workspace` in place of the package, which has all features.

#[test]
#[ignore = "builds all dependencies anew, which takes minutes; CI runs it"]
fn a_mistake_is_named() {
    let cases = trybuild::TestCases::new();
    if cfg!(feature = "fault") {
        // The compiler's paths differ without features.
        cases.compile_fail("tests/mistakes/*.rs");
    } else {
        cases.compile_fail("tests/mistakes/without_features/*.rs");
    }
}
