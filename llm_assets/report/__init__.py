"""A month of the tables as one page of HTML: rows → sections of figures (`*_section`) → `page` → `write`.

It asks nothing but `warehouse`, reads no other file and needs no network, neither to be made nor to be read.
"""
