import collections
import pkgutil

import supcon_tf


def test_no_two_packages_have_modules_of_one_name():
    modules = [module.name for module in pkgutil.walk_packages(supcon_tf.__path__, "supcon_tf.")]
    assert modules
    by_name = collections.defaultdict(list)
    for module in modules:
        by_name[module.rpartition(".")[2]].append(module)
    assert [found for found in by_name.values() if len(found) > 1] == []
