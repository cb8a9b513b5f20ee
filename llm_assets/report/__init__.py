"""A month of the tables as one page of HTML: `months` → `contents` → `figures` → `page` → `write`.

It asks nothing but `warehouse`, reads no other file and needs no network, neither to be made nor to be read.
"""
