"""ZStack's query language: lexer, grammar, and a parser whose errors have the texts of ANTLR's."""
