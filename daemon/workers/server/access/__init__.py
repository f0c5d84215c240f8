"""Who may use the API: the names a request may be sent to, the pages it may come from, and the keys it may carry."""
