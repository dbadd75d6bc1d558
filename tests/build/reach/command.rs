//! Copies a file with a greeting and standard input in capitals, and ends with 7.
use std::{env, fs, io, process};

fn main() {
    let paths: Vec<String> = env::args().skip(1).collect();
    let text = fs::read_to_string(&paths[0]).unwrap_or_else(|error| {
        eprintln!("cannot copy: {error}");
        process::exit(3)
    });
    let greeting = env::var("GREETING").expect("a greeting");
    fs::write(&paths[1], format!("{greeting}, {text}")).expect("a file");
    for line in io::stdin().lines() {
        println!("{}", line.expect("a line").to_uppercase());
    }
    process::exit(7);
}
