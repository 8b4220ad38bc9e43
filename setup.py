# SPDX-License-Identifier: Apache-2.0
"""Build description, as ament_python (colcon) and pip both read it."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'posegrasp_ros'
HERE = Path(__file__).resolve().parent


def shared_files() -> list[tuple[str, list[str]]]:
    """What is installed below share/: launch, parameter, model and rviz files, folder by folder."""
    files = [('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
             (f'share/{PACKAGE}', ['package.xml'])]
    for top in ('launch', 'config', 'models', 'rviz'):
        for folder in sorted({path.parent for path in (HERE / top).rglob('*') if path.is_file()}):
            relative = folder.relative_to(HERE)
            if '__pycache__' in relative.parts:
                continue
            names = sorted(str(relative / path.name) for path in folder.iterdir() if path.is_file())
            files.append((f'share/{PACKAGE}/{relative}', names))
    return files


setup(
    name=PACKAGE,
    version='0.2.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed', '**/*.j2', '**/*.html', '**/*.css', '**/*.js', '**/*.xml']},
    data_files=shared_files(),
    python_requires='>=3.10',
    # Bounds: from the oldest version that the tests passed with to below the next release that may break the API.
    # `make lowest` and `make lock` resolve both ends; constraints.txt is the lock that `make setup` installs.
    install_requires=[
        # 5 needs Python 3.11
        'cyclopts>=4.25,<6',
        'jinja2>=3.1,<4',
        'jsonschema>=4.10,<5',
        'lz4>=4.0,<5',
        # unites and closes meshes
        'manifold3d>=3.0,<4',
        'mcap>=1.1,<2',
        'numba>=0.59,<1',
        'numpy>=1.26,<3',
        'onnxruntime>=1.17,<2',
        'opencv-python-headless>=4.6,<6',
        # older ones are built against NumPy 1, of which there are no wheels for Python 3.13
        'opencv-python-headless>=4.10.0.84; python_version >= "3.13"',
        'pillow>=10.2,<14',
        'pydantic>=2.8,<3',
        'pyyaml>=6.0.1,<7',
        # draws boards to print
        'reportlab>=4.0,<6',
        'rosbags>=0.10.11,<0.12',
        # trimesh casts rays through it, where embreex of the extra sim is not installed
        'rtree>=1.2,<2',
        'ruamel.yaml>=0.17.21,<1',
        'scipy>=1.11,<2',
        'tqdm>=4.66,<5',
        'transforms3d>=0.4.2,<0.5',
        'trimesh>=4.4,<6',
        'zstandard>=0.22,<1',
    ],
    extras_require={
        # ROS 2 as wheels, for machines without a ROS 2 install (x86_64 Linux): of Jazzy or of Kilted.
        'ros': [
            'ros-rclpy[fastrtps]>=7.1.6,<10',
            'ros-diagnostic-msgs>=5.3.6,<6',
            'ros-domain-coordinator>=0.12,<1',
            'ros-geometry-msgs>=5.3.6,<6',
            'ros-nav-msgs>=5.3.6,<6',
            'ros-rosgraph-msgs>=2.0.3,<3',
            'ros-sensor-msgs>=5.3.6,<6',
            'ros-std-srvs>=5.3.6,<6',
            'ros-visualization-msgs>=5.3.6,<6',
        ],
        # embreex casts trimesh's rays, networkx finds its stable poses, coacd takes hollow meshes apart for
        # contacts
        'sim': ['mujoco>=3.8.1,<5', 'coacd>=1.0.5,<2', 'embreex>=2.17.7.post7,<5', 'networkx>=2.8,<4'],
        # Pinocchio tells whether the arm of a URDF reaches a grasp
        'reach': ['pin>=2.7,<5'],
        # the monitor's Prometheus endpoint
        'prometheus': ['prometheus_client>=0.17,<1'],
        # the page of posegrasp watch
        'watch': ['aiohttp>=3.10,<4'],
        # posegrasp evaluate --mlflow; mlflow itself does as well
        'mlflow': ['mlflow-skinny>=2.9,<4'],
        # --rerun of posegrasp evaluate and posegrasp watch
        'rerun': ['rerun-sdk>=0.24,<1'],
        'train': ['torch>=2.4,<3', 'onnx>=1.16,<2', 'scikit-image>=0.22,<1'],
        # fleets of recordings; s3fs, gcsfs or adlfs for those in a store
        'fleet': ['pyarrow>=15,<28', 'fsspec>=2024.2,<2027', 'duckdb>=1.0,<3'],
        # their engine on a cluster
        'ray': ['ray>=2.9,<3'],
        # by which colcon test knows what runs the tests
        'test': ['pytest>=7.4,<8.4'],
        # ROS launch testing's plugins break on pytest 8.4 and later.
        'dev': ['aiohttp>=3.10,<4', 'hypothesis>=6.100,<7', 'mlflow-skinny>=2.9,<4', 'moto[server]>=5.0.20,<6',
                'mypy>=2.4,<3', 'onnx>=1.16,<2', 'pin>=2.7,<5', 'playwright>=1.40,<2',
                'prometheus_client>=0.17,<1', 'pytest>=7.4,<8.4', 'pytest-xdist>=3.5,<4', 'ray>=2.9,<3',
                'rerun-sdk>=0.24,<1', 'ruff>=0.12,<1', 's3fs>=2024.2,<2027', 'scipy-stubs>=1.15,<2',
                'types-PyYAML>=6.0.12,<7', 'types-tqdm>=4.66,<5'],
        # `make docs`
        'docs': ['mkdocs>=1.6,<2', 'mkdocs-gen-files>=0.5,<1', 'mkdocs-literate-nav>=0.6,<1',
                 'mkdocs-material>=9.5,<10', 'mkdocstrings[python]>=0.27,<2'],
    },
    zip_safe=False,
    maintainer='posegrasp_ros developers',
    maintainer_email='posegrasp@users.noreply.github.com',
    description='Camera image to object pose to ranked grasps to pick, measured against baselines',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            f'{node} = {PACKAGE}.nodes.scripts:{node}'
            for node in ('perception_node', 'grasp_planner_node', 'monitor_node', 'simulator_node', 'board_node',
                         'handeye_node')
        ] + [f'posegrasp = {PACKAGE}.cli.main:script'],
    },
)
