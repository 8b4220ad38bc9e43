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
    package_data={PACKAGE: ['**/*.j2', '**/*.html', '**/*.css', '**/*.xml']},
    data_files=shared_files(),
    python_requires='>=3.10',
    install_requires=[
        'jinja2',
        'lz4',
        'jsonschema>=4',
        'mcap',
        'numba>=0.59',
        'numpy>=1.26',
        'onnxruntime',
        'opencv-python-headless>=4.5',
        'pillow',
        'pyyaml',
        'rosbags',
        'scipy',
        'tqdm',
        'transforms3d>=0.4.2',
        'trimesh',
        'zstandard',
    ],
    extras_require={
        # ROS 2 as wheels, for machines without a ROS 2 install (x86_64 Linux).
        'ros': [
            'ros-rclpy[fastrtps]',
            'ros-diagnostic-msgs',
            'ros-domain-coordinator',
            'ros-geometry-msgs',
            'ros-nav-msgs',
            'ros-rosgraph-msgs',
            'ros-sensor-msgs',
            'ros-std-srvs',
            'ros-visualization-msgs',
        ],
        # embreex casts trimesh's rays, networkx finds its stable poses, coacd takes hollow meshes apart for
        # contacts
        'sim': ['mujoco>=3.3', 'coacd', 'embreex', 'networkx'],
        # Pinocchio tells whether the arm of a URDF reaches a grasp
        'reach': ['pin'],
        # the monitor's Prometheus endpoint
        'prometheus': ['prometheus_client'],
        'train': ['torch>=2.4', 'onnx', 'scikit-image'],
        # by which colcon test knows what runs the tests
        'test': ['pytest'],
        # ROS launch testing's plugins break on pytest 8.4 and later.
        'dev': ['hypothesis', 'onnx', 'pin', 'prometheus_client', 'pytest<8.4', 'ruff'],
    },
    zip_safe=False,
    maintainer='posegrasp_ros developers',
    maintainer_email='posegrasp-ros@example.org',
    description='Camera image to object pose to ranked grasps to pick, measured against baselines',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            f'{node} = {PACKAGE}.nodes.{node}:main'
            for node in ('perception_node', 'grasp_planner_node', 'monitor_node', 'simulator_node')
        ] + [f'posegrasp = {PACKAGE}.cli.main:script'],
    },
)
