"""ZStack's query language: its words, its rules, and a parser that says what is wrong in the words of ANTLR's."""
