"""``wen init``: create a new study in its own folder, run by the installed `wen`."""

import shlex
import shutil
from pathlib import Path

from wen import installed
from wen.config.read import load
from wen.dvc import output_of
from wen.errors import WenError
from wen.files import atomic

README = """# A study by wen

params.yaml has the study's parameters and dvc.yaml its stages; the installed `wen` runs them. `wen` {release} created
this folder with the profile `{profile}`.

```sh
{bring}wen doctor    # checks what the study needs
wen plan      # estimates time, memory and disk
dvc repro     # runs the stages that changed; stop it and repeat it at any time
wen results   # prints the result table; report/index.html has everything else
```

`wen study FOLDER_OR_ZIP --profile thesis` copies C-NMC 2019 to this folder and replaces the profile by `thesis`.
"""


def run(folder: Path, profile: str) -> None:
    """Create a folder with everything that a study starts with, as a git and DVC repository with one commit.

    Parameters
    ----------
    folder : Path
        Must not exist yet.
    profile : str
        The name of a file in profiles/, which becomes params.yaml.

    Raises
    ------
    WenError
        If the folder exists, if there is no such profile, or if git fails.
    """
    if folder.exists() or folder.is_symlink():
        raise WenError(f"{folder}: already exists; choose a new folder")
    files = installed.study_files()
    chosen = files / f"profiles/{profile}.yaml"
    if not chosen.is_file():
        names = ", ".join(sorted(path.stem for path in (files / "profiles").glob("*.yaml")))
        raise WenError(f"--profile {profile}: no such profile; choose one of {names}")
    with atomic(folder) as partial:
        _copy(files, partial)
        shutil.copy(chosen, partial / "params.yaml")
        bring = "" if load(chosen).dataset.source == "synthetic" else f"wen study DATA --profile {profile}"
        about = f"{bring}    # brings the images in the folder or zip DATA\n" if bring else ""
        text = README.format(release=installed.release(), profile=profile, bring=about)
        (partial / "README.md").write_text(text, encoding="utf-8", newline="\n")
        identity = _commit(partial)
    place = shlex.quote(str(folder))
    steps = f"cd {place} && {bring or 'dvc repro'}"
    then = ", where DATA is the folder or zip of the images; then run dvc repro" if bring else ""
    print(f"{folder}: new study with profile {profile}{identity}. Start it with: {steps}{then}")


def _copy(files: Path, folder: Path) -> None:
    for name in installed.STUDY:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (files / name).is_dir() else shutil.copy
        copy(files / name, place)


def _commit(folder: Path) -> str:
    """Create a repository with one commit; return a notice if git has no identity and gets one for this folder."""
    output_of(["git", "init", "--quiet"], folder)
    try:
        output_of(["git", "var", "GIT_AUTHOR_IDENT"], folder)
        identity = ""
    except WenError:
        output_of(["git", "config", "user.name", "wen study"], folder)
        output_of(["git", "config", "user.email", "wen@localhost"], folder)
        identity = ', committed as "wen study", because git has no identity here'
    output_of(["git", "add", "--all"], folder)
    # New versions of git start maintenance in the background, which would change files while they are being flushed.
    commit = ["git", "-c", "maintenance.auto=false", "commit", "--quiet"]
    output_of([*commit, "--message", f"A study by wen {installed.release()}"], folder)
    return identity
