"""What is in and beside a message: pictures, what people thought of it, and marks of what is not to be learned."""
