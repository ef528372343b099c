"""One loader a family of file formats; each runs only inside the parser's cage."""
