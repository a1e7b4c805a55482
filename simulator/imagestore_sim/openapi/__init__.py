"""The OpenAPI document of ZStack's API, made from the declarations that bind requests.

`document` puts it together, `operations` describes one API, `folding` joins those that share a method and a path;
`parameters`, `queries`, `answers` and `errors` describe their parts, and `schemas` the types in them. What is only text
for people comes from docstrings (`texts`), and every example was answered by a lab (`examples`).
"""
