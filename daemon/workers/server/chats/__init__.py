"""What the server remembers of chats: sessions, and answers on their way to the inbox."""
