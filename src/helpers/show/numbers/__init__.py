"""What a chapter states, computed: one module a chapter, pure functions of tables, tested without the book."""
