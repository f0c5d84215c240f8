"""What is in a message and beside it: pictures in its text, marks of what it is worth, and who is to see it."""
