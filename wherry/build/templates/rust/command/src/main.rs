fn main() {
    let name = std::env::args().nth(1).unwrap_or("World".to_string());
    println!("Hello, {name}!");
}
