//! The `srcfs` program.

fn main() -> std::process::ExitCode {
    srcfs::cli::main()
}
