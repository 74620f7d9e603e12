"""What each signature of a bundle takes and gives, and seeded rows for it."""
