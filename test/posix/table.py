"""Every rule of POSIX that a filesystem can break, as a table: one line "case: outcome" each, for a comparison.

table.py DIRECTORY [SECTION...]: the lines that a local filesystem gives are the ones wanted. The cases are products (a
call, by each path that can be wrong, on each kind of file, by each user), because what breaks is a combination that
nobody thought of.
"""

import os
import sys

import table_data
import table_names
from table_base import enter

SECTIONS = {
    name[len("section_"):]: function
    for module in (table_names, table_data)
    for name, function in vars(module).items()
    if name.startswith("section_")
}

enter(sys.argv[1])
os.umask(0o022)
for name in sys.argv[2:] or SECTIONS:
    SECTIONS[name]()
